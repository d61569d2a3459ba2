"""One job of a sweep: run it, or go on with it, and say how it ended."""

import time
import traceback
from typing import Any

from trainer import runs
from trainer.errors import InterruptedRunError, TrainerError
from trainer.sweeps.job import Job
from trainer.sweeps.plan import Planned


def attempt(planned: Planned) -> Job:
    """Run the job to its end, from its checkpoint where there is one; a failure is in its result.json, too.

    Raises:
        InterruptedRunError, KeyboardInterrupt: it was told to stop.
    """
    started = time.perf_counter()
    try:
        return ended(planned, _train(planned))
    except InterruptedRunError:
        raise
    except TrainerError as error:
        reason = error.message
    except Exception as error:
        traceback.print_exc()  # ours, or the user's code: not to be hidden
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not (planned.directory / "result.json").exists():
        runs.write_result(planned.directory, {"status": "failed", "metrics": {}, "error": reason})
    job = planned.ended("failed", reason)
    job.seconds = time.perf_counter() - started
    return job


def ended(planned: Planned, result: dict[str, Any]) -> Job:
    """The line of sweep.jsonl for the content of a job's result.json."""
    job, objective = planned.ended(result["status"]), result["objective"]
    job.objective, job.direction = objective["name"], objective["direction"]
    job.value, job.best_epoch, job.metrics = objective["value"], result["best_epoch"], result["metrics"]
    job.seconds = result["seconds"]
    return job


def _train(planned: Planned) -> dict[str, Any]:
    if planned.asked.mistake is not None:
        raise planned.asked.mistake
    config = planned.asked.config
    assert config is not None
    if planned.started:
        from trainer.commands import resume

        config.run = planned.directory
        return resume.run(config)
    from trainer.commands import train

    runs.rewind(planned.directory, {})  # of one that was killed before its first checkpoint
    return train.run(config, planned.directory)
