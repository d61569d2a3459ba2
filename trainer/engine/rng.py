"""The random generators that a training draws from: torch's, and in a user's own code Python's and NumPy's."""

import hashlib
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.engine.state import State
from trainer.system.shapes import is_count, is_number


def seed(value: int) -> None:
    """Start all of them from `value`."""
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value)


def mark() -> str:
    """A digest of the states of all generators that code of this process draws from."""
    kept = Generators().state_dict()
    digest = hashlib.blake2b(kept["cpu"].numpy().tobytes(), digest_size=8)
    if kept["cuda"]:
        digest.update(torch.cuda.get_rng_state().numpy().tobytes())
    for of in (kept["python"][1], kept["numpy"][1]):
        digest.update(of.numpy().tobytes())
    digest.update(repr((kept["python"][::2], kept["numpy"][2:])).encode())
    return digest.hexdigest()


def plain() -> dict[str, Any]:
    """The states of all generators that code of this process draws from, as plain values: JSON holds them."""
    kept = Generators().state_dict()
    version, words, gauss = kept["python"]
    name, keys, *rest = kept["numpy"]
    device = torch.cuda.get_rng_state().tolist() if kept["cuda"] else None
    return {
        "cpu": kept["cpu"].tolist(),
        "cuda": device,
        "python": [version, words.tolist(), gauss],
        "numpy": [name, keys.tolist(), *rest],
    }


def go_on_from(states: dict[str, Any]) -> None:
    """Let all generators of this process go on from where those of another stood; of GPUs, that of the current one."""
    torch.set_rng_state(torch.tensor(states["cpu"], dtype=torch.uint8))
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(torch.tensor(states["cuda"], dtype=torch.uint8))
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))


class Generators:
    """All generators of the process, as a part of a training that has state."""

    def state_dict(self) -> dict[str, Any]:
        """Their states, as tensors and plain values."""
        version, words, gauss = random.getstate()
        name, keys, *rest = np.random.get_state(legacy=True)
        initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if initialised else [],
            "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
            "python": [version, torch.tensor(words), gauss],
            "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        }

    def check_state(self, kept: Any, at: State) -> None:
        """Check a state before any generator is set to it: some would read beyond its numbers.

        Raises:
            ValueError: it is not one that `state_dict` gives.
        """
        if not isinstance(kept, dict) or kept.keys() != self.state_dict().keys():
            raise ValueError("it has no random states")
        try:
            _try(kept["cpu"], torch.Generator())
            for number in range(_gpus(kept)):
                _try(kept["cuda"][number], torch.Generator(f"cuda:{number}"))
            if kept["mps"] is not None and torch.backends.mps.is_available():
                _try(kept["mps"], torch.Generator("mps"))
            version, words, gauss = kept["python"]
            random.Random().setstate((version, tuple(_words(words, 625)), gauss))
            name, keys, at_key, has_gauss, cached = kept["numpy"]
            fits = is_count(at_key) and at_key <= len(_words(keys, 624)) and has_gauss in (0, 1) and is_number(cached)
            if name != "MT19937" or not fits or not (gauss is None or is_number(gauss)):
                raise ValueError("it is not of this kind")
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError("its random states are not what they should be") from error

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set their states; those of devices that are not here are ignored."""
        torch.set_rng_state(state["cpu"].clone())
        if _gpus(state):
            torch.cuda.set_rng_state_all([each.clone() for each in state["cuda"]])
        if state["mps"] is not None and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"].clone())
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


def _try(kept: Any, scratch: torch.Generator) -> None:
    """Set a generator that nobody uses: torch checks the numbers.

    It takes them for ones in a row at the beginning of their memory, which those of a file need not be.
    """
    if not isinstance(kept, Tensor) or not kept.is_contiguous() or kept.shape != scratch.get_state().shape:
        raise ValueError("they are not so many bytes in a row")
    scratch.set_state(kept.clone())


def _gpus(state: dict[str, Any]) -> int:
    """How many GPUs have their generators set: all that are here, or none."""
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    kept = state["cuda"]
    return len(kept) if initialised and isinstance(kept, list) and len(kept) == torch.cuda.device_count() else 0


def _words(values: Any, count: int) -> list[int]:
    """The numbers of 32 bits that a Mersenne Twister stands at."""
    if not isinstance(values, Tensor) or values.dtype != torch.int64 or values.shape != (count,):
        raise ValueError("they are not so many whole numbers")
    words: list[int] = values.tolist()
    if not all(0 <= word < 2**32 for word in words):
        raise ValueError("they have more than 32 bits")
    return words


class Own(Generators):
    """The generators of a run that shares its process with others: it draws from `cpu`, which only it has.

    The others stay as they stood when the run was set up.
    """

    def __init__(self) -> None:
        self.cpu = torch.Generator()
        self.load_state_dict(super().state_dict())

    def state_dict(self) -> dict[str, Any]:
        """As that of `Generators`."""
        return {**self._set_up, "cpu": self.cpu.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As that of `Generators`; those of the process do not change."""
        self._set_up = state
        self.cpu.set_state(state["cpu"].clone())
