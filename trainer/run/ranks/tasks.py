"""The tasks of `trainer train` and `trainer resume` on several ranks. The process that starts them imports no torch."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.train import Train

if TYPE_CHECKING:
    from trainer.engine.ranks import Ranks
    from trainer.show.report import Report


def batch_of(config: Train) -> int:
    """How many samples a batch of a training has, as far as that is known before the data are read."""
    size: int | None = getattr(config.samples, "batch_size", None)
    return size or sys.maxsize  # null: all samples


@dataclass
class _Training:
    config: Train

    @property
    def batch(self) -> int:
        """How many samples a batch has that the ranks share."""
        return batch_of(self.config)


class Begin(_Training):
    """A new training."""

    def lead(self, ranks: "Ranks", screen: "Report", at: Callable[[Path], None]) -> tuple[dict[str, Any], Path]:
        """Train and test; the content of result.json, and the run directory."""
        from trainer.run import starting

        with starting.opened(self.config, screen, ranks=ranks) as training:
            at(training.directory)
            return training.run(), training.directory

    def follow(self, ranks: "Ranks") -> None:
        """Take part in each step."""
        from trainer.run.ranks import follower

        follower.begin(self.config, ranks)


class Continue(_Training):
    """A training in the directory of its config, which is resumed."""

    def lead(self, ranks: "Ranks", screen: "Report", at: Callable[[Path], None]) -> dict[str, Any]:
        """Train and test; the content of result.json."""
        from trainer.run import resuming

        assert self.config.directory is not None
        at(self.config.directory)
        return resuming.run(self.config, screen, ranks)

    def follow(self, ranks: "Ranks") -> None:
        """Take part in each step, from the checkpoint on that rank 0 names."""
        from trainer.run.ranks import follower

        follower.resume(self.config, ranks)
