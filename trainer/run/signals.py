"""The first SIGINT, SIGTERM or SIGHUP lets the loop finish its step; a second one ends the process at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.engine.state import State
from trainer.system.signals import ENDING, handled


@contextmanager
def stopping(*states: State) -> Iterator[None]:
    """Within the block, a signal sets `interrupted` of all `states` instead of ending the process."""

    def on_signal(signum: int) -> None:
        for state in states:
            state.interrupted = signum

    with handled(on_signal, *ENDING, once=True):
        yield
