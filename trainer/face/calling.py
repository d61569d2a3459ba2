"""How a verb is called from Python: it raises, and never ends the process."""

import functools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from trainer.system.errors import InterruptedRunError, TerminatedError, UserError

P = ParamSpec("P")
T = TypeVar("T")

# Hydra's state is the process's, and so are torch's random generators: a second thread waits for the first.
_COMPOSING, _TRAINING = threading.Lock(), threading.RLock()


def told(function: Callable[P, T]) -> Callable[P, T]:
    """Raise what went wrong as Python's users expect it.

    A mistake of theirs has a short traceback. An interrupted training raises KeyboardInterrupt after its checkpoint
    has been written; a signal that ends processes is sent again then.
    """

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            mistake = error
        except InterruptedRunError as error:
            signum = error.exit_code - 128
            if signum == signal.SIGINT:
                raise KeyboardInterrupt(str(error)) from error
            signal.raise_signal(signum)
            raise TerminatedError(signum) from error
        except Exception as error:
            from trainer.system import circumstances

            explained = circumstances.explained(error)
            if explained is None:
                raise
            raise explained from error
        raise mistake.with_traceback(None) from None

    return called


@contextmanager
def composed(verb: str, words: Sequence[str]) -> Iterator[Any]:
    """The checked config of a verb, as the command line makes it, to be used within the block.

    Raises:
        ConfigError: As on the command line.
    """
    from trainer.cli import arguments, main
    from trainer.config import composition
    from trainer.system import signals

    with composition.forgotten():
        with _COMPOSING, composition.ready():
            config = main.configured(arguments.read(verb, words))
        with signals.delayed():  # torch may break where its import is interrupted
            import torch  # noqa: F401
        yield config


@contextmanager
def training() -> Iterator[None]:
    """No other thread trains within the block, and after it the random generators stand where they stood before."""
    from trainer.engine.rng import Generators

    with _TRAINING:
        generators = Generators()
        before = generators.state_dict()
        try:
            yield
        finally:
            generators.load_state_dict(before)
