"""One job of a sweep: run it, or go on with it, and say how it ended."""

import time
import traceback
from collections.abc import Generator
from contextlib import AbstractContextManager, suppress
from typing import Any

from trainer.engine.loop import driven
from trainer.run import directory as runs
from trainer.run import resuming, starting
from trainer.run.parts import Parts
from trainer.run.signals import stopping
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.sweeps.job import Job
from trainer.sweeps.plan import Planned
from trainer.system.errors import InterruptedRunError, StorageError, TrainerError

Attempt = Generator[Any, Any, Job]


def attempt(planned: Planned) -> Job:
    """Run the job to its end, from its checkpoint where there is one; a failure is in its result.json, too.

    Raises:
        InterruptedRunError, KeyboardInterrupt: it was told to stop.
    """
    work = attempting(planned, Report())
    try:
        training = next(work)
    except StopIteration as failed:
        job: Job = failed.value
        return job
    return alone(work, training)


def alone(work: Attempt, training: Training) -> Job:
    """The rest of an attempt that has a training of its own, with nothing beside it."""
    return driven(work, training.parts.step, training.parts.evaluate, (training.parts.batches, stopping))


def attempting(planned: Planned, screen: Report, beside: Parts | None = None) -> Attempt:
    """As `attempt`, in steps: gives the training, takes how it is to be run (the arguments of `Training.running`), then
    asks for each step and evaluation. `beside` as for `starting.opened`.
    """
    started = time.perf_counter()
    try:
        with _opened(planned, screen, beside) as training:
            try:
                how = yield training
            except BaseException as error:
                training.give_up(error)
                raise
            return planned.completed((yield from training.running(*how)))
    except InterruptedRunError:
        raise
    except TrainerError as error:
        reason = error.message
    except Exception as error:
        traceback.print_exc()  # ours, or the user's code: not to be hidden
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not (planned.directory / "result.json").exists():
        with suppress(StorageError):  # then the sweep's own files say it
            runs.write_result(planned.directory, {"status": "failed", "metrics": {}, "error": reason})
    job = planned.ended("failed", reason)
    job.seconds = time.perf_counter() - started
    return job


def _opened(planned: Planned, screen: Report, beside: Parts | None) -> AbstractContextManager[Training]:
    if planned.asked.mistake is not None:
        raise planned.asked.mistake
    config = planned.asked.config
    assert config is not None
    config.change("plots", config.settings.plots and config.section("sweep").plots)
    if planned.started:
        return resuming.opened(config, screen, planned.directory, beside, planned.hooks)
    runs.rewind(planned.directory, {})  # of one that was killed before its first checkpoint
    return starting.opened(config, screen, planned.directory, beside, planned.hooks)
