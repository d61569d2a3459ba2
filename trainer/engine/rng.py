"""The random generators that a training draws from: torch's (dropout); Python's and NumPy's in a user's own code."""

import random
from typing import Any

import numpy as np
import torch


def seed(value: int) -> None:
    """Start all of them from `value`."""
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value)


def states() -> dict[str, Any]:
    """Where they stand, as tensors and plain values."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "python": [version, torch.tensor(words), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
    }


def restore(states: dict[str, Any]) -> None:
    """Go on from `states`; those of devices that are not here are left out."""
    torch.set_rng_state(states["cpu"])
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if initialised and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


class Own:
    """The generators of a run that shares its process with others: it draws from one of its own, on the CPU."""

    def __init__(self) -> None:
        self._taken = states()  # as the run was set up
        self.cpu = torch.Generator()
        self.cpu.set_state(self._taken["cpu"])

    def states(self) -> dict[str, Any]:
        """As the function of that name."""
        return {**self._taken, "cpu": self.cpu.get_state()}
