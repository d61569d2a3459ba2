"""How a verb is called from Python: it raises, and never ends the process."""

import functools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from trainer.system.errors import InterruptedRunError, TerminatedError, TrainerError, UserError

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
            raised: BaseException = _in_full(error).with_traceback(None)
        except InterruptedRunError as error:
            signum = error.exit_code - 128
            if signum != signal.SIGINT:
                signal.raise_signal(signum)
            words = str(_in_full(error))
            raised = KeyboardInterrupt(words) if signum == signal.SIGINT else TerminatedError(signum)
        except TrainerError as error:
            _in_full(error)
            raise
        except Exception as error:
            from trainer.system import circumstances

            explained = circumstances.explained(error)
            if explained is None:
                raise
            raise _in_full(explained) from error
        raise raised from None

    return called


def _in_full(error: TrainerError) -> TrainerError:
    """The error, whose text says what to do as well: on the command line that is a line of its own."""
    error.args = (f"{error.message}\n  {error.hint}" if error.hint else error.message,)
    return error


@contextmanager
def composed(verb: str, words: Sequence[str]) -> Iterator[Any]:
    """The checked config of a verb, as the command line makes it, to be used within the block.

    Raises:
        ConfigError: As on the command line.
    """
    from trainer.cli import arguments, main
    from trainer.config import composition
    from trainer.system.torch_first import import_torch

    with composition.forgotten():
        with _COMPOSING, composition.ready():
            given = arguments.read(verb, words)
            config = main.configured(given)
            given.say()
        import_torch()
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
