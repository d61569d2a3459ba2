"""The first SIGINT, SIGTERM or SIGHUP lets the loop finish its step; a second one ends the process at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainer.engine.state import State


@contextmanager
def stopping(*states: State) -> Iterator[None]:
    """Within the block, a signal sets `interrupted` of all `states` instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watched = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {signum: signal.getsignal(signum) for signum in watched}
    before = {signum: handler for signum, handler in before.items() if handler is not signal.SIG_IGN}  # `nohup`

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def on_signal(signum: int, frame: FrameType | None) -> None:
        for state in states:
            state.interrupted = signal.Signals(signum).name
        restore()

    for signum in before:
        signal.signal(signum, on_signal)
    try:
        yield
    finally:
        restore()
