"""What a listing knows of a run, or of a sweep by its best job. All of it may be a stranger's."""

import datetime
import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.compare import settings
from trainer.compare.finding import Place
from trainer.compare.ranking import badness, has_value
from trainer.run import directory as runs
from trainer.run import records, sweep_log
from trainer.run.records import RESULT, SWEEP_LOG
from trainer.run.rows import NAME as ROWS
from trainer.run.sweep_log import Outcome
from trainer.system import inside
from trainer.system.errors import RunError
from trainer.system.shapes import is_count

STATUSES = ("completed", "failed", "interrupted", "running", "unfinished", "broken")
TEST = ("test/accuracy", "test/mse", "test/loss")  # the first of them that a run has is its figure of the test split
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)(-\d+)?")  # what `run.directory.claim` calls directories
_LONGEST_PLAN = 2**24  # bytes
_LONGEST_TIME = 1e11  # seconds: three thousand years
_LAST_ROWS = 2**14  # bytes at the end of metrics.jsonl, of which the last row is wanted


class Entry:
    """A run. `facts` are the figures that it can be sorted and chosen by, beside the keys of its config."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def path(self) -> Path:
        return self.place.path

    @property
    def jobs(self) -> int:
        """How many jobs a sweep has; 0 for a run."""
        return 0

    @cached_property
    def name(self) -> str:
        """The folder that runs of the same kind share, or what the directory itself is called."""
        return self.path.parent.name if _STAMP.fullmatch(self.path.name) else self.path.name

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of result.json; empty if there is none, or if it is broken."""
        return records.read_result(self.path) if RESULT in self.place.names else {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The keys of the config, flat; empty if it cannot be read."""
        return settings.of(self.path) if settings.CONFIG in self.place.names else {}

    @cached_property
    def typed(self) -> list[str]:
        """What was typed, one `key=value` each."""
        return records.overrides(self.path)

    @cached_property
    def when(self) -> datetime.datetime | None:
        """When it was started, in local time: what its directory is called, or else the age of its oldest file."""
        if match := _STAMP.fullmatch(self.path.name):
            try:
                return datetime.datetime.fromisoformat(f"{match[1]} {match[2]}:{match[3]}:{match[4]}")
            except ValueError:
                pass
        for name in (records.OVERRIDES, settings.CONFIG, RESULT):
            if name in self.place.names:
                try:
                    return datetime.datetime.fromtimestamp(int((self.path / name).lstat().st_mtime))
                except (OSError, OverflowError, ValueError):
                    continue
        return None

    @cached_property
    def status(self) -> str:
        """One of `STATUSES`: unfinished is one that was killed before it could say anything."""
        said = str(self.result.get("status", ""))
        if said == "completed":
            return said
        if runs.is_locked(self.path):
            return "running"
        return said or ("broken" if RESULT in self.place.names else "unfinished")

    @property
    def ending(self) -> str:
        """The status, and what else is to be known of it."""
        if records.pruned(self.result):
            return "pruned"
        if self.status in ("completed", "broken") or not self.epoch:
            return self.status
        return f"{self.status}, epoch {self.epoch}"

    @cached_property
    def epoch(self) -> int | None:
        """The epoch of the last row that it has written."""
        try:
            lines = inside.tail(self.path / ROWS, _LAST_ROWS).splitlines()
            return next((int(row["epoch"]) for row in map(_row, reversed(lines)) if row), None)
        except OSError:
            return None

    @cached_property
    def objective(self) -> dict[str, Any]:
        """`name`, `direction` and `value` of the metric that picked the best weights; empty if there is none."""
        return dict(self.result.get("objective") or {})

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics at its end that are finite, and its objective."""
        found = {k: v for k, v in (self.result.get("metrics") or {}).items() if v is not None}
        if self.objective.get("value") is not None:
            found.setdefault(self.objective["name"], self.objective["value"])
        return found

    @property
    def test(self) -> str | None:
        """The name of the metric that says how good it is on the test split."""
        return next((name for name in TEST if name in self.metrics), None)

    @property
    def seconds(self) -> float | None:
        """How long it took; None where that is not known, or cannot be."""
        return _sane(self.result.get("seconds"))

    @property
    def best_epoch(self) -> int | None:
        return self.result.get("best_epoch")

    @cached_property
    def facts(self) -> dict[str, Any]:
        when = self.when
        return {
            **self.metrics,
            "name": self.name,
            "path": str(self.path),
            "status": self.status,
            "when": when.isoformat(" ") if when else None,
            "time": self.seconds,
            "objective": self.objective.get("value"),
            "best_epoch": self.best_epoch,
            "steps": self.result.get("steps"),
        }

    def value(self, key: str) -> Any:
        """A fact, a metric or the value of a key of the config; `KeyError` where there is none."""
        return self.facts[key] if key in self.facts else self.config[key]

    def summary(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        when = self.when
        return {
            "path": str(self.path),
            "name": self.name,
            "kind": "sweep" if self.jobs else "run",
            "when": when.isoformat() if when else None,
            "status": self.status,
            "stopped": self.result.get("stopped"),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "objective": self.objective or None,
            "best_epoch": self.best_epoch,
            "metrics": self.metrics,
            "typed": self.typed,
            "config": self.config,
        }


class SweepEntry(Entry):
    """A sweep: the figures and the config are those of the job whose objective is best."""

    @cached_property
    def _read(self) -> list[Outcome] | None:
        """How its jobs ended; None if the file that says so is broken."""
        try:
            return sweep_log.read(self.path / SWEEP_LOG) if SWEEP_LOG in self.place.names else []
        except RunError:
            return None

    @property
    def outcomes(self) -> list[Outcome]:
        """How its jobs ended, as far as it is known."""
        return self._read or []

    @cached_property
    def planned(self) -> int:
        """How many jobs it is to have, as far as it is known."""
        try:
            found = inside.json_of(self.path / "plan.json", _LONGEST_PLAN)
        except (OSError, ValueError):
            found = {}
        return max(len(found) if isinstance(found, dict) else 0, len(self.outcomes))

    @property
    def jobs(self) -> int:
        return self.planned or len(self.place.names)

    @cached_property
    def best(self) -> Outcome | None:
        """The job with the best value of the first job's objective."""
        name = next((job.objective for job in self.outcomes if job.objective), "")
        found = [job for job in self.outcomes if job.objective == name and has_value(job)]
        return min(found, key=lambda job: badness(job.value, job.direction), default=None)

    @cached_property
    def result(self) -> dict[str, Any]:
        best = self.best
        if best is None:
            return {}
        return {
            "objective": {"name": best.objective, "direction": best.direction, "value": best.value},
            "best_epoch": best.best_epoch,
            "metrics": dict(best.metrics),
        }

    @cached_property
    def config(self) -> dict[str, Any]:
        return settings.of(self.path / str(self.best.job)) if self.best is not None else {}

    @cached_property
    def status(self) -> str:
        counts = Counter(job.status for job in self.outcomes)
        if runs.is_locked(self.path):
            return "running"
        if self._read is None:
            return "broken"
        if counts["failed"]:
            return "failed"
        if counts["completed"] + counts["pruned"] == self.planned > 0:
            return "completed"
        return "interrupted" if self.outcomes else "unfinished"

    @property
    def ending(self) -> str:
        done = sum(job.status in ("completed", "pruned") for job in self.outcomes)
        jobs = f"{self.planned} jobs" if done == self.planned else f"{done} of {self.planned} jobs"
        return f"{self.status}, {jobs}" + (f", best {self.best.job}" if self.best is not None else "")

    @property
    def seconds(self) -> float | None:
        """The time of all of its jobs together."""
        return _sane(sum(job.seconds for job in self.outcomes)) if self.outcomes else None

    def summary(self) -> dict[str, Any]:
        best = self.best
        return super().summary() | {"jobs": self.planned, "best_job": best.job if best is not None else None}


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds < _LONGEST_TIME else None


def _row(line: str) -> dict[str, Any]:
    """A whole row of metrics.jsonl; empty if it is none."""
    try:
        found = inside.parsed(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and is_count(found.get("epoch")) else {}


def made(place: Place) -> Entry:
    """The entry of a place that is a run or a sweep."""
    return SweepEntry(place) if place.is_sweep else Entry(place)
