"""One job of a sweep: started or resumed, run, and how it ended."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from trainer.engine.ranks import ALONE, Ranks
from trainer.run import directory as runs
from trainer.run import resuming, starting
from trainer.run.parts import Parts
from trainer.run.sweep_log import Outcome
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.sweeps import ranked
from trainer.sweeps.plan import Planned
from trainer.system import circumstances
from trainer.system.errors import InterruptedRunError, TrainerError, named
from trainer.system.streams import show_traceback


def attempt(planned: Planned, meanwhile: Callable[[], None] = lambda: None) -> Outcome:
    """Run the job to its end, from its checkpoint where there is one; a failure is in its result.json, too.

    `meanwhile` is called now and then where other processes run it.

    Raises:
        InterruptedRunError, KeyboardInterrupt: it was told to stop.
    """
    job = Attempt(planned, Report(quiet=True))
    if ranked.is_shared(planned):
        return job.end(lambda: ranked.run(planned, meanwhile))
    return job.end(lambda: job.open().run())


class Attempt:
    """A job whose training is opened and ended by separate calls, so that jobs in a team can train in between."""

    def __init__(self, planned: Planned, screen: Report) -> None:
        self.planned, self.screen = planned, screen
        self.started = time.perf_counter()
        self.opened = ExitStack()

    def open(self, beside: Parts | None = None, ranks: Ranks = ALONE) -> Training:
        """Start or resume the training; `beside` and `ranks` as in `starting.opened`.

        Raises:
            TrainerError: it cannot be started. Then call `end` with a function that raises the error.
        """
        planned = self.planned
        if planned.asked.mistake is not None:
            raise planned.asked.mistake
        config = planned.asked.config
        assert config is not None
        for key in (
            "plots",
            "tables",
        ):  # of thousands of jobs, few are looked at: `trainer eval JOB out=DIR` makes them
            config.change(key, getattr(config, key) and getattr(config.sweep, key))
        if not planned.started:
            runs.check_links(planned.directory)
            runs.rewind(planned.directory, {})  # of a run that was killed before its first checkpoint
            if config.tensorboard.enabled:
                runs.call(planned.directory, planned.label)
        opened = resuming.opened if planned.started else starting.opened
        given = config, self.screen, planned.directory, beside, planned.hooks
        return self.opened.enter_context(opened(*given, ranks=ranks))

    def end(self, rest: Callable[[], dict[str, Any] | None]) -> Outcome:
        """Do the `rest` of the job, which gives the content of its result.json, and close what is open.

        It gives nothing where another process, with the first rank of the job, says what has come of it.

        Raises:
            InterruptedRunError, KeyboardInterrupt: it was told to stop.
        """
        try:
            with self.opened:
                result = rest()
            return self.planned.completed(result) if result is not None else self.planned.ended("completed")
        except InterruptedRunError:
            raise
        except TrainerError as error:
            reason = error.message
        except Exception as error:
            known = circumstances.explained(error)
            if known is None:
                show_traceback(error)  # ours, or the user's code: not to be hidden
            reason = named(error) if known is None else known.message
        job = self.planned.failed(reason)
        job.seconds = time.perf_counter() - self.started
        return job
