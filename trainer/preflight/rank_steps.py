"""Some steps of a training on several ranks, and on one: what the look at ranks compares."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.train import Train
from trainer.show.report import Report

if TYPE_CHECKING:  # torch comes with it
    from torch import Tensor

    from trainer.engine.ranks import Ranks

Weights = dict[str, "Tensor"]


@dataclass
class Steps:
    """A task for ranks: the first `steps` of a training, whose batches have so many samples in all."""

    config: Train
    steps: int
    batch: int

    def lead(self, ranks: "Ranks", screen: Report, at: Callable[[Path], None]) -> dict[str, dict[str, float]]:
        """Step together, compare the ranks, then step alone and compare once more.

        Returns:
            `apart` and `alone`: the weights by their names, and the largest difference of each as a part of its largest
            value, between the ranks, and between them and one process.
        """
        from trainer.engine.ranks import ALONE

        together = self._weights(ranks)
        apart = self._compared(together, ranks)
        alone = self._weights(ALONE)
        return {"apart": apart, "alone": {name: _off(value, alone[name]) for name, value in together.items()}}

    def follow(self, ranks: "Ranks") -> None:
        """Step with the others."""
        self._compared(self._weights(ranks), ranks)

    def _weights(self, ranks: "Ranks") -> Weights:
        """The weights after the steps."""
        from trainer.engine.loop import grouped
        from trainer.run import starting
        from trainer.run.parts import assemble
        from trainer.run.ranks import sameness

        config, quiet = copy.deepcopy(self.config), Report(quiet=True)
        parts = assemble(config, quiet, starting.begun_with(config, quiet), anew=True, ranks=ranks)
        try:
            sameness.check(parts)
            for group in islice(grouped(parts.batches.epoch(0), parts.plan.accumulate), self.steps):
                parts.step(group)
        finally:
            parts.close(at_once=True)
        return {name: value.detach().clone() for name, value in parts.model.state_dict().items()}

    @staticmethod
    def _compared(weights: Weights, ranks: "Ranks") -> dict[str, float]:
        """How far each rank's weights are from those of rank 0, at most."""
        found = dict[str, float]()
        for name, value in weights.items():
            first, *others = ranks.gathered(value)
            found[name] = max((_off(first, other) for other in others), default=0.0)
        return found


def _off(first: "Tensor", second: "Tensor") -> float:
    """The largest difference of two tensors, as a part of the largest value."""
    if not first.numel():
        return 0.0
    largest: Any = max(first.double().abs().max(), second.double().abs().max())
    return float((first.double() - second.double()).abs().max() / largest) if largest else 0.0
