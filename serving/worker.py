"""What a server process imports: logging to standard error, one JSON line a request, and the application."""

import logging

from serving.app import create_asgi

_handler = logging.StreamHandler()
_handler.setFormatter(logging.Formatter("%(message)s"))
logging.getLogger("serving").addHandler(_handler)
logging.getLogger("serving").setLevel(logging.INFO)
logging.getLogger("serving").propagate = False

app = create_asgi()
