"""A job of a sweep on several ranks: this process starts them, or is one of those that Slurm has started for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.train import Train
from trainer.run import heading
from trainer.run.ranks.tasks import batch_of
from trainer.show.report import Report
from trainer.sweeps.plan import Planned
from trainer.system.seats import several

if TYPE_CHECKING:
    from trainer.engine.ranks import Ranks


@dataclass
class Shared:
    """A job that ranks do together."""

    planned: Planned

    @property
    def config(self) -> Train:
        """That of the job, which has no mistake."""
        config = self.planned.asked.config
        assert config is not None
        return config

    @property
    def batch(self) -> int:
        """How many samples a batch has that the ranks share."""
        return batch_of(self.config)

    def lead(self, ranks: "Ranks", screen: Report, at: Callable[[Path], None]) -> dict[str, Any]:
        """Train and test; the content of result.json. What is said goes into train.log alone."""
        from trainer.sweeps.attempt import Attempt

        at(self.planned.directory)
        ranks.told(self.planned.started)
        attempt = Attempt(self.planned, Report(quiet=True))
        with attempt.opened:
            return attempt.open(ranks=ranks).run()

    def follow(self, ranks: "Ranks") -> None:
        """Take part in each step."""
        from trainer.run.ranks import follower

        (follower.resume if ranks.told(False) else follower.begin)(self.config, ranks)


def is_shared(planned: Planned) -> bool:
    """Whether a job has several ranks, or leaves it open how many."""
    config = planned.asked.config
    return planned.asked.mistake is None and config is not None and several(config.devices)


def run(planned: Planned, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any] | None:
    """Run a job on its ranks; the content of its result.json, but None on another rank than the first.

    `meanwhile` is called now and then by the process that has started them.

    Raises:
        TrainerError: The job has failed, or was told to stop.
    """
    from trainer.run.ranks import spread

    task = Shared(planned)
    found: dict[str, Any] | None = spread.run(
        task, heading.of_training(task.config, planned.directory), Report(quiet=True), meanwhile
    )
    return found
