"""Processes that work for this one."""

import os
import signal
import threading
from multiprocessing import parent_process


def follow_parent() -> None:
    """Prepare a process of a pool: its parent alone decides what Ctrl-C does, and it ends when its parent is gone.

    A parent that is killed closes no queue, and the process would wait for work forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
