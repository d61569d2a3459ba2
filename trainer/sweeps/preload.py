"""What the server imports first that the workers of `sweep=parallel` are forked from; `warm` starts it."""

import gc
import os
import signal

from trainer.system.workers import end_with

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the terminal's whole group; the sweep answers it
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # `warm` has started the server with it blocked
end_with(os.getppid())  # at once: Python takes a second to leave torch, in which the server would hold the terminal
gc.disable()  # to look for garbage in what torch imports takes a fifth of the time; each worker enables it

import trainer.sweeps.attempt  # noqa: E402

__all__ = ["trainer"]
