"""What the server imports that the workers of `sweep=parallel` are forked from."""

import atexit
import os

import trainer.sweeps.attempt

__all__ = ["trainer"]

atexit.register(os._exit, 0)  # Python takes a second to leave torch, in which the server would hold the terminal
