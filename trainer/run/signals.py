"""The first SIGINT, SIGTERM or SIGHUP lets the loop finish its step; a second one ends the process at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from trainer.system.signals import ENDING, clock, handled


class Interrupted(Protocol):
    """What is told of a signal: the state of a training, or what its ranks agree by."""

    interrupted: int


PATIENCE = 10.0  # seconds after a signal, from which on a batch is no longer waited for


@contextmanager
def stopping(*states: Interrupted, give_up: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within the block, a signal sets `interrupted` of all `states` instead of ending the process.

    If that alone does not end it, `give_up` is called again and again, in the same thread; it may raise an error.
    """
    with clock(give_up) as start:

        def on_signal(signum: int) -> None:
            for state in states:
                state.interrupted = signum
            start(PATIENCE)

        with handled(on_signal, *ENDING, once=True):
            yield
