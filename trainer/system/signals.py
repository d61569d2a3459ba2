"""What signals do for a while: everything that handles or blocks them does it here, and puts back what was before."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from trainer.system.errors import TerminatedError

# How a process is asked to end: by `kill`, or by a terminal that was closed; or by Ctrl-C.
TERMINATING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
ENDING = [signal.SIGINT, *TERMINATING]


def terminated(signum: int) -> NoReturn:
    """Handle a signal by ending the command.

    Raises:
        TerminatedError: always.
    """
    raise TerminatedError(signum)


@contextmanager
def kept(*signums: int) -> Iterator[dict[int, Any]]:
    """Put back the handlers of `signums` after the block, whatever sets others in it.

    It gives those that may be replaced: none of signals that the process ignores, as `nohup` has it, and none in other
    threads than the main one, where Python sets no handlers.
    """
    main = threading.current_thread() is threading.main_thread()
    found = {signum: signal.getsignal(signum) for signum in signums if main}
    before = {signum: handler for signum, handler in found.items() if handler is not None}  # None: not Python's
    try:
        yield {signum: handler for signum, handler in before.items() if handler is not signal.SIG_IGN}
    finally:
        _put_back(before)


def _put_back(handlers: dict[int, Any]) -> None:
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@contextmanager
def handled(handler: Callable[[int], object], *signums: int, once: bool = False) -> Iterator[None]:
    """Within the block, call `handler` with the number of each signal that comes.

    With `once`, signals after the first one do what they did before the block.
    """
    with kept(*signums) as before:

        def on_signal(signum: int, frame: object) -> None:
            if once:
                _put_back(before)
            handler(signum)

        for signum in before:
            signal.signal(signum, on_signal)
        yield


@contextmanager
def delayed() -> Iterator[None]:
    """Signals that ask the process to end take effect after the block."""
    came: list[int] = []
    with handled(came.append, *ENDING):
        yield
    for late in came:
        signal.raise_signal(late)


@contextmanager
def blocked(*signums: int) -> Iterator[None]:
    """Block `signums` within the block, and for good in processes that are started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signums)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
