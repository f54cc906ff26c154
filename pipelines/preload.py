"""What a run needs whatever it makes: loaded once, in the process that runs are forked from.

Nothing here may do more than import: a fork has none of the threads that work would leave, and all of their locks.
"""

import atexit
import gc

from dagster._core.storage import sqlite_storage
from dagster._grpc import impl

from pipelines.definitions import defs

__all__ = ["defs", "impl", "sqlite_storage"]

gc.freeze()  # what is loaded stays: no run looks through it again, and its pages stay shared
atexit.register(gc.unfreeze)  # what is not let go of at the end, extensions complain of
