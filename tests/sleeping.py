"""What a process does that a server has forked: in a file of its own, so that it need not import torch."""

import os
import time
from multiprocessing.connection import Connection

from trainer.system.workers import end_with

LONG = 60  # seconds, of which none is waited for


def say_and_sleep(writing: Connection, parent: int) -> None:
    end_with(parent)
    os.write(writing.fileno(), b"x")
    time.sleep(LONG)
