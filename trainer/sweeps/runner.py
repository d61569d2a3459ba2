"""What runs the jobs of a sweep; `sweep=` names it."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from trainer.run.sweep_log import Outcome
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.system.errors import InterruptedRunError
from trainer.system.torch_first import import_torch

Done = Callable[[Outcome], None]
CLUSTERS = ("slurm", "ray")
IN_THIS_PROCESS = ("serial", "batched")


class Runner(Protocol):
    """A way to run jobs, made as `Runner(settings, monitor, done)`; `settings` is the section `sweep` of the config."""

    def run(self, jobs: Iterator[Planned]) -> None:
        """Run every job to its end, and call `done` with each as it ends, also with those that failed.

        The next job is taken only when there is a place for it, since a search decides then what to try. A search may
        have no job until others have ended, so `jobs` is asked again after it was exhausted.

        Raises:
            InterruptedRunError, KeyboardInterrupt: the sweep was stopped; jobs that ran have written checkpoints.
        """


def note(planned: Planned, job: Callable[[], Outcome], done: Done) -> None:
    """Run a job in this process, and note how it ended.

    Raises:
        InterruptedRunError, KeyboardInterrupt: it was told to stop, which is noted, too.
    """
    try:
        outcome = job()
    except (InterruptedRunError, KeyboardInterrupt) as error:
        done(planned.ended("interrupted", str(error)))
        raise
    done(outcome)


def check(settings: Any) -> None:
    """Check before anything is written that this machine has what the runner needs.

    Raises:
        UserError: something is missing.
    """
    if settings.name in CLUSTERS:
        importlib.import_module(f"trainer.sweeps.{settings.name}").check(settings)


def make(settings: Any, monitor: Monitor, done: Done) -> Runner:
    """The runner that `sweep=` names. Its module has that name, and is imported only now."""
    if settings.name in IN_THIS_PROCESS:
        with monitor.screen.doing("starting torch"):
            import_torch()
    module = importlib.import_module(f"trainer.sweeps.{settings.name}")
    runner: Runner = getattr(module, settings.name.capitalize())(settings, monitor, done)
    return runner
