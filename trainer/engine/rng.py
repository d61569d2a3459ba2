"""The random generators that a training draws from: torch's, and in a user's own code Python's and NumPy's."""

import random
from typing import Any

import numpy as np
import torch


def seed(value: int) -> None:
    """Start all of them from `value`."""
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value)


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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set their states; those of devices that are not here are ignored."""
        torch.set_rng_state(state["cpu"])
        initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        if initialised and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        if state["mps"] is not None and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


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
        self.cpu.set_state(state["cpu"])
