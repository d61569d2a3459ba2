"""How the jobs of a sweep ended, and sweep.jsonl, which has a line for each that has."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainer.run.records import PRUNED, SWEEP_LOG, finite
from trainer.system.atomic import cut_to_lines, storing
from trainer.system.errors import RunError
from trainer.system.inside import content, parsed, unlinked
from trainer.system.shapes import is_amount, is_count, is_number, is_text, known, one_of, optional, table

LOG = SWEEP_LOG
LONGEST = 2**26  # bytes of it that are read: more than the hundred thousand jobs that a sweep may have


@dataclass
class Outcome:
    """How a job ended: one line of sweep.jsonl."""

    job: int
    overrides: dict[str, str]
    status: str  # as in result.json, or "not run", or "pruned"
    seconds: float
    objective: str = ""
    direction: str = "max"
    value: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""


_SHAPES = {
    "job": is_count,
    "overrides": table(is_text),
    "status": one_of("completed", "failed", "interrupted", "not run", PRUNED),
    "seconds": is_amount,
    "objective": is_text,
    "direction": one_of("min", "max"),
    "value": optional(is_number),
    "best_epoch": optional(is_count),
    "metrics": table(optional(is_number)),
    "error": is_text,
}


def read(path: Path) -> list[Outcome]:
    """The jobs of a sweep.jsonl by their numbers. Of several lines of one job the last counts.

    A last line that was cut off when the power failed is ignored, and its job has to be run again.

    Raises:
        RunError: the file cannot be read, or another line is no job.
    """
    try:
        lines = content(path, LONGEST).splitlines()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"cannot read {path}: {error}") from error
    jobs: dict[int, Outcome] = {}
    for row, line in enumerate(lines, start=1):
        try:
            job = _job(parsed(line))
        except ValueError as error:
            if row == len(lines):
                break
            raise RunError(f"{path}: line {row} is no job of a sweep", "delete the line to run it again") from error
        jobs[job.job] = job
    return [jobs[number] for number in sorted(jobs)]


def append(path: Path, job: Outcome) -> None:
    """Add a job that has ended, in place of a line that was cut off, and bring it to the disk.

    Raises:
        StorageError: the file cannot be written.
    """
    line = json.dumps(finite(asdict(job))).encode() + b"\n"
    with storing(path), open(path, "ab+", opener=unlinked) as file:
        cut_to_lines(file)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _job(found: Any) -> Outcome:
    """The job of a line. What a later version has written besides is left out."""
    job = Outcome(**known(found, _SHAPES, ("job", "overrides", "status", "seconds")))
    job.metrics = {name: value for name, value in job.metrics.items() if value is not None}
    return job
