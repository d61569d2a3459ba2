"""The samples that a model was trained on, remembered in its checkpoint, and found again where it is evaluated.

Otherwise another split of the same data (`data.split_seed=1`), or a copy of them, would be a test that the model has
learned by heart.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.data.digests import digests
from trainer.data.splits import Split

KEPT = 2**16  # digests at most, of 8 bytes each
CHANCE = 0.05  # share of samples that may be known without an alarm, beyond that of twins among the training samples


class Trained:
    """The training samples of a run, digested once, when first asked for."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self._kept: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: the digests (n,) int64, of so many `samples`.

        Of many samples only those digests are kept whose lowest `bits` are zero.
        """
        if self._kept is None:
            found, bits = digests(self.split), 0
            while len(kept := found[found & (2**bits - 1) == 0]) > KEPT:
                bits += 1
            self._kept = {"digests": kept.sort().values, "samples": len(found), "bits": bits}
        return self._kept


@dataclass(frozen=True)
class Found:
    """How many of `total` samples a model was trained on, perhaps `about`; as many as are `usual` are no wonder."""

    count: int
    total: int
    usual: float
    about: bool

    @property
    def leak(self) -> bool:
        """Whether there are more of them than equal samples in honest data explain."""
        return self.count > max(1.0, self.usual + CHANCE * self.total)

    @property
    def counted(self) -> str:
        """`64`, or `about 64`."""
        return f"{'about ' if self.about else ''}{self.count:,}"


def found_again(kept: dict[str, Any] | None, split: Split) -> Found | None:
    """How many samples of a split are among those that a checkpoint, which `kept` their digests, knows.

    None if it does not say what its model was trained on.
    """
    if kept is None:
        return None
    trained: Tensor = kept["digests"]
    own = digests(split)
    own = own[own & (2 ** kept["bits"] - 1) == 0]
    share = float(torch.isin(own, trained).double().mean()) if len(own) else 0.0
    _, times = torch.unique(trained, return_counts=True)
    twins = float(times[times > 1].sum()) / max(1, len(trained))
    return Found(round(share * len(split)), len(split), twins * len(split), kept["bits"] > 0)
