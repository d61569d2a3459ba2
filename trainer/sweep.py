"""A multirun: every job is run, also after one failed; then a ranked table and results.csv."""

import csv
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainer import runs
from trainer.errors import InterruptedRunError, TrainerError
from trainer.paths import expanded, typed
from trainer.report import Report, duration, metric


@dataclass
class Job:
    """One line of sweep.jsonl."""

    job: int
    overrides: dict[str, str]
    status: str
    seconds: float
    objective: str = ""
    direction: str = "max"
    value: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""


class Sweep:
    """The jobs of one sweep, in `OUTPUT/sweeps/NAME/TIME/`, one run directory each."""

    def __init__(self, output: str, name: str | None) -> None:
        self.directory = runs.claim(expanded(output) / "sweeps" / (name or "sweep"))
        self.jobs: list[Job] = []
        self.screen = Report()

    def run(self, number: int, overrides: list[str], job: Callable[[Path], dict[str, Any]]) -> None:
        """Run one job in its own directory and note how it went.

        Raises:
            InterruptedRunError: the user stopped the sweep.
        """
        directory = self.directory / str(number)
        directory.mkdir(parents=True, exist_ok=True)
        pairs = dict(o.split("=", 1) for o in overrides)
        started = time.perf_counter()
        self.screen.say(f"job {number}  {' '.join(overrides)}", style="bold")

        def done(status: str, **found: Any) -> None:
            entry = Job(number, pairs, status, time.perf_counter() - started, **found)
            self.jobs.append(entry)
            with (self.directory / "sweep.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(runs.finite(asdict(entry))) + "\n")

        try:
            result = job(directory)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            done("interrupted", error=str(error))
            raise
        except TrainerError as error:
            self._failed(directory, error.message)
            self.screen.say(f"job {number} failed: {error.message}", style="red")
            done("failed", error=error.message)
        except Exception as error:
            traceback.print_exc()  # ours, or the user's code: not to be hidden
            self._failed(directory, f"{type(error).__name__}: {error}")
            done("failed", error=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        else:
            objective = result["objective"]
            done(
                result["status"],
                objective=objective["name"],
                direction=objective["direction"],
                value=runs.finite(objective["value"]),
                best_epoch=result["best_epoch"],
                metrics=result["metrics"],
            )
        self.screen.say()

    def finish(self) -> int:
        """Show the ranking, write results.csv; how many jobs failed."""
        if not self.jobs:
            return 0
        ranked = self.ranked()
        keys = self.varied()
        name = next((j.objective for j in ranked if j.objective), "objective")
        header = ["rank", "job", *keys, name, "best epoch", "test", "seconds", "status"]
        rows = []
        for rank, job in enumerate(ranked, start=1):
            value = "-" if job.value is None else metric(job.objective, job.value)
            test = next((metric(k, v) for k, v in job.metrics.items() if k in ("test/accuracy", "test/mse")), "-")
            status = job.status if not job.error else f"{job.status}: {job.error}"
            place = str(rank) if job.value is not None else "-"
            epoch = str(job.best_epoch) if job.best_epoch is not None else "-"
            values = [job.overrides.get(k, "") for k in keys]
            rows.append([place, str(job.job), *values, value, epoch, test, f"{job.seconds:.1f}", status])
        self._write_csv(ranked, keys)
        total = duration(sum(job.seconds for job in self.jobs))
        self.screen.table(header, rows, f"{len(self.jobs)} jobs in {total}")
        best = ranked[0]
        facts = [("sweep", str(self.directory)), ("table", str(self.directory / "results.csv"))]
        if best.value is not None:
            again = " ".join(typed(f"{k}={v}") for k, v in best.overrides.items())
            facts += [
                ("best", f"trainer train {again}"),
                ("next", f"trainer eval ckpt={typed(self.directory / str(best.job))}"),
            ]
        self.screen.panel("sweep", facts)
        return sum(job.status == "failed" for job in self.jobs)

    def ranked(self) -> list[Job]:
        """Best first; jobs without a value last, in their order."""
        objectives = list(dict.fromkeys(job.objective for job in self.jobs))  # different ones do not compare
        with_value = [job for job in self.jobs if job.value is not None]
        with_value.sort(
            key=lambda j: (objectives.index(j.objective), (j.value or 0.0) * (-1 if j.direction == "max" else 1))
        )
        return with_value + [job for job in self.jobs if job.value is None]

    def varied(self) -> list[str]:
        """The overrides that differ between jobs."""
        keys = dict.fromkeys(k for job in self.jobs for k in job.overrides)
        differ = [k for k in keys if len({job.overrides.get(k) for job in self.jobs}) > 1]
        return differ or list(keys)

    def _write_csv(self, ranked: list[Job], keys: list[str]) -> None:
        metrics = list(dict.fromkeys(k for job in ranked for k in job.metrics))
        columns = ["rank", "job", "status", *keys, "objective", "value", "best_epoch", "seconds", *metrics, "error"]
        with (self.directory / "results.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            for rank, job in enumerate(ranked, start=1):
                place = rank if job.value is not None else None
                figures = asdict(job) | {"rank": place, "seconds": f"{job.seconds:.3f}"}
                writer.writerow(job.overrides | job.metrics | figures)  # None becomes an empty cell

    def _failed(self, directory: Path, error: str) -> None:
        """A job that failed before it had a result gets one all the same."""
        if not (directory / "result.json").exists():
            runs.write_result(directory, {"status": "failed", "metrics": {}, "error": error})
