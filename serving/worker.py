"""What a server process imports: the log to standard error, and the application."""

import gc
import os
import signal
import time
from threading import Thread

from serving.app import create_asgi
from serving.layers.logs import log_to_stderr


def end_with(server: int) -> None:
    """Stop once the process that started this one is gone, however it went: nobody could end what holds the port."""
    while os.getppid() == server:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


log_to_stderr()
Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
app = create_asgi()
gc.collect()
gc.freeze()  # what is loaded now stays: looking through it for garbage would hold up requests
