"""What a server process imports: the log to standard error, and the application."""

import gc

from serving.app import create_asgi
from serving.layers.logs import log_to_stderr

log_to_stderr()
app = create_asgi()
gc.collect()
gc.freeze()  # what is loaded now stays: looking through it for garbage would hold up requests
