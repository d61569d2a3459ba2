"""The first SIGINT, SIGTERM or SIGHUP lets the loop finish its step; a second one ends the process at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainer.loop import State


class Stop:
    """Which signal asked to stop, 0 for none."""

    signum = 0


@contextmanager
def stopping(state: State) -> Iterator[Stop]:
    """Within the block, a signal sets `state.interrupted` instead of ending the process."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    watched = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {signum: signal.getsignal(signum) for signum in watched}
    before = {signum: handler for signum, handler in before.items() if handler is not signal.SIG_IGN}  # `nohup`

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def on_signal(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum
        state.interrupted = signal.Signals(signum).name
        restore()

    for signum in before:
        signal.signal(signum, on_signal)
    try:
        yield stop
    finally:
        restore()
