"""What runs the jobs of a sweep: `sweep=` names it."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from trainer.show.report import Report
from trainer.sweeps.job import Job
from trainer.sweeps.plan import Planned

Done = Callable[[Job], None]
CLUSTERS = ("slurm", "ray")


class Runner(Protocol):
    """Made as `Runner(settings, screen, done)`, where `settings` are the section `sweep` of the config."""

    def run(self, jobs: Iterator[Planned]) -> None:
        """Run every job to its end, and call `done` with each as it ends, also with those that failed.

        The next job is taken when there is a place for it, not before: a search decides then what it is. It may have
        none before others have ended, so `jobs` is asked again then, though it had said that it is at its end.

        Raises:
            InterruptedRunError, KeyboardInterrupt: somebody stopped the sweep; what ran has ended, with checkpoints.
        """


def check(settings: Any) -> None:
    """Look for what the runner needs, before anything is written.

    Raises:
        UserError: something is missing here.
    """
    if settings.name in CLUSTERS:
        importlib.import_module(f"trainer.sweeps.{settings.name}").check(settings)


def make(settings: Any, screen: Report, done: Done) -> Runner:
    """The runner that `sweep=` names; its module has that name, and is imported only now."""
    module = importlib.import_module(f"trainer.sweeps.{settings.name}")
    runner: Runner = getattr(module, settings.name.capitalize())(settings, screen, done)
    return runner
