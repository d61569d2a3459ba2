"""What signals do for a while: everything that handles or blocks them does it here, and puts back what was before."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from trainer.system.errors import InterruptedRunError, TerminatedError

# How a process is asked to end: by `kill`, or by a terminal that was closed; or by Ctrl-C.
TERMINATING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
ENDING = [signal.SIGINT, *TERMINATING]


class Answer:
    """How a command answers the signals that ask it to end.

    The first one raises. What is raised ends the command in order: jobs are told to stop, results are noted, the table
    is shown. Signals that come meanwhile are counted, and nothing else; so are those that come when it is `over`.
    """

    def __init__(self) -> None:
        self.again = 0
        self.over = False

    def __call__(self, signum: int) -> None:
        """Raise KeyboardInterrupt, or TerminatedError, which is one."""
        if self.over or _answering():
            self.again += 1
        elif signum == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise TerminatedError(signum)


def _answering() -> bool:
    """Whether the code that a signal has come upon deals with an earlier one: in an `except`, a `finally`, or below."""
    error = sys.exception()
    for _ in range(100):  # no chain is as long, unless it is a circle
        if error is None or isinstance(error, KeyboardInterrupt | InterruptedRunError):
            break
        error = error.__cause__ or error.__context__
    return error is not None


def interruption(error: BaseException) -> KeyboardInterrupt | None:
    """The signal that an error comes from: Python makes an error of its own of what is raised while it makes a class.

    So it is where a library is just being imported.
    """
    cause: BaseException | None = error
    for _ in range(100):  # no chain is as long, unless it is a circle
        if cause is None or isinstance(cause, KeyboardInterrupt):
            break
        cause = cause.__cause__
    return cause if isinstance(cause, KeyboardInterrupt) else None


_answers: list[Answer] = []  # of the commands under way, one within another in tests


@contextmanager
def answered(*signums: int, for_good: bool = False) -> Iterator[Answer]:
    """Within the block, `signums` are answered. `for_good`: after it they are ignored, for the process is at its end.

    Python drops what is raised in a `__del__`, or in the like: then the signal comes again a moment later.
    """
    answer, hook = Answer(), sys.unraisablehook

    def dropped(what: Any) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            signum = what.exc_value.signum if isinstance(what.exc_value, TerminatedError) else signal.SIGINT
            threading.Timer(0.01, os.kill, (os.getpid(), signum)).start()
        else:
            hook(what)

    _answers.append(answer)
    with handled(answer, *signums, then=signal.SIG_IGN if for_good else None):
        sys.unraisablehook = dropped
        try:
            yield answer
        finally:
            answer.over = True
            sys.unraisablehook = hook
            _answers.pop()


def hurried() -> bool:
    """Whether a signal has come while an earlier one was being answered: what takes long is then left out."""
    return bool(_answers and _answers[-1].again)


@contextmanager
def kept(*signums: int, then: Any = None) -> Iterator[dict[int, Any]]:
    """Put back the handlers of `signums` after the block, whatever sets others in it; or set `then` in their place.

    It gives those that may be replaced: none of signals that the process ignores, as `nohup` has it, and none in other
    threads than the main one, where Python sets no handlers.
    """
    main = threading.current_thread() is threading.main_thread()
    found = {signum: signal.getsignal(signum) for signum in signums if main}
    before = {signum: handler for signum, handler in found.items() if handler is not None}  # None: not Python's
    ours = {signum: handler for signum, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        yield ours
    finally:
        _put_back(before if then is None else before | dict.fromkeys(ours, then))


def _put_back(handlers: dict[int, Any]) -> None:
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@contextmanager
def handled(handler: Callable[[int], object], *signums: int, once: bool = False, then: Any = None) -> Iterator[None]:
    """Within the block, call `handler` with the number of each signal that comes; `then` as in `kept`.

    With `once`, signals after the first one do what they did before the block.
    """
    with kept(*signums, then=then) as before:

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
def clock(strike: Callable[[], None], every: float = 0.5) -> Iterator[Callable[[float], None]]:
    """Gives what starts a clock: it calls `strike` after so many seconds and then `every` so many, within the block.

    It interrupts whatever the main thread waits for. Where the system has no such clock, it never strikes.
    """
    if not hasattr(signal, "setitimer"):
        yield lambda seconds: None
        return
    with handled(lambda signum: strike(), signal.SIGALRM):
        try:
            yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds, every) and None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def blocked(*signums: int) -> Iterator[None]:
    """Block `signums` within the block, and for good in processes that are started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signums)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
