"""A sweep's results: the ranked table for the screen, results.csv, and the command that trains the best again."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean

from trainer.compare import ranking
from trainer.compare.ranking import FOLD, REPEATS, Ranked, has_value, ranked, varied
from trainer.compare.verdict import verdict
from trainer.run.directory import PAGE
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.show.report import Facts
from trainer.show.values import metric
from trainer.sweeps.plan import BY_TEST
from trainer.system.atomic import replacing
from trainer.system.cells import inert
from trainer.system.paths import argument, quoted

TEST = ("test/accuracy", "test/mse")  # what the table shows of the test split
GROUP = ("group_rank", "group_mean", "group_std", "group_low", "group_high", "group_n")


def table(jobs: Sequence[Outcome], ascii_only: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows for `Report.table`, best first. Jobs that differ in folds or seeds alone share a row."""
    rows = ranked(jobs)
    varying = varied(jobs)
    keys = [key for key in varying if key not in REPEATS]
    repeats = [key for key in REPEATS if key in varying]
    objectives = list(dict.fromkeys(row.objective for row in rows if row.objective))
    several = len(objectives) > 1
    name = objectives[0] if len(objectives) == 1 else "objective"
    plus_minus = "+-" if ascii_only else "±"
    cells = []
    for row in rows:
        shown = [str(row.rank) if row.rank else "-", _numbers([job.job for job in row.jobs])]
        shown += [row.overrides.get(key, "") for key in keys]
        shown += [_numbers([job.overrides.get(key, "") for job in row.jobs]) for key in repeats]
        shown.append((f"{row.objective} " if several and row.objective else "") + _value(row, plus_minus))
        done = [job for job in row.jobs if has_value(job)] or list(row.jobs)
        seconds = f"{mean(job.seconds for job in done):.1f}"
        shown += [_epochs(done), _test(done), seconds, _status(row)]
        cells.append(shown)
    names = [REPEATS[key] if len(rows) < len(jobs) else key for key in repeats]
    return ["rank", "job", *keys, *names, name, "best epoch", "test", "seconds", "status"], cells


def write_csv(path: Path, jobs: Sequence[Outcome]) -> None:
    """Write one line per job, best first, with the figures of its settings over all folds and seeds.

    Raises:
        StorageError: the file cannot be written.
    """
    metrics = list(dict.fromkeys(key for job in jobs for key in job.metrics))
    columns = ["rank", "job", "status", *varied(jobs), "objective", "value", "best_epoch", "seconds"]
    columns = list(dict.fromkeys([*columns, *metrics, *GROUP, "error"]))
    groups = {job.job: _group(row) for row in ranked(jobs) for job in row.jobs}
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([inert(column) for column in columns])
    for rank, job in ranking.places(jobs):
        facts = asdict(job) | {"rank": rank, "value": job.value if rank else None, "seconds": f"{job.seconds:.3f}"}
        cells = job.overrides | job.metrics | facts | groups[job.job]
        writer.writerow([inert(cells.get(column)) for column in columns])  # None becomes an empty cell
    with replacing(path) as whole:
        whole.write(file.getvalue().encode())


def rerun(row: Ranked) -> str:
    """The command that trains the best seed of these settings again; of folds, on the samples of all of them."""
    words = row.best.overrides
    if row.by_fold:
        words = {key: value for key, value in words.items() if key not in (FOLD, "data.folds")}
    return " ".join(["trainer train", *(quoted(f"{key}={value}") for key, value in words.items())])


def facts(jobs: Sequence[Outcome]) -> Facts:
    """What has come of it: the best, whether it is better by more than chance, and whether that can be believed."""
    rows = ranked(jobs)
    best = [row for row in rows if row.rank == 1]  # of each objective
    found = [("best", _best(row, varied(jobs))) for row in best]
    if result := verdict(rows):
        found.append(("result", result))
    chosen = [row for row in best if any(r.objective == row.objective and r.rank != 1 for r in rows)]
    if tested := [row.objective for row in chosen if row.objective.startswith("test/")]:
        found.append(("note", f"{tested[0]} picks the best here: {BY_TEST}"))
    return found


def places(directory: Path, pictures: Sequence[Path]) -> Facts:
    """Where everything is."""
    found = [("sweep", str(directory)), ("table", "results.csv"), ("report", PAGE)]
    if pictures:
        found.append(("pictures", f"{pictures[0].parent.name}/ ({', '.join(path.stem for path in pictures)})"))
    return found


def following(jobs: Sequence[Outcome], directory: Path) -> list[str]:
    """Commands to go on with: the best is trained again, and evaluated."""
    rows = ranked(jobs)
    best = [row for row in rows if row.rank == 1]
    together = len(rows) == 1 and any(row.by_fold for row in best)
    again = [f"trainer eval {argument(directory if together else directory / str(row.best.job))}" for row in best[:1]]
    return [*map(rerun, best), *again]


def _best(row: Ranked, keys: Sequence[str]) -> str:
    """What the best has reached, and in what it differs from others."""
    words = [f"{key}={row.overrides[key]}" for key in keys if key in row.overrides]
    which = f"job {row.best.job}" if len(row.jobs) == 1 else row.counted
    return f"{row.objective} {_value(row, '±')} ({which}{': ' if words else ''}{' '.join(words)})"


def _value(row: Ranked, plus_minus: str) -> str:
    if row.mean is None:
        return "-"
    text = metric(row.objective, row.mean)
    if row.std is None:
        return text
    return f"{text} {plus_minus} {metric(row.objective, row.std) if text.endswith('%') else f'{row.std:.2g}'}"


def _epochs(jobs: Sequence[Outcome]) -> str:
    """`7`, or `5-9` if the jobs differ."""
    epochs = [job.best_epoch for job in jobs if job.best_epoch is not None]
    if not epochs:
        return "-"
    return str(epochs[0]) if min(epochs) == max(epochs) else f"{min(epochs)}-{max(epochs)}"


def _test(jobs: Sequence[Outcome]) -> str:
    """The mean over the jobs of what the test split gave."""
    for name in TEST:
        values = [job.metrics[name] for job in jobs if name in job.metrics]
        if values:
            return metric(name, mean(values))
    return "-"


def _status(row: Ranked) -> str:
    """`completed`, or how the jobs ended that did not complete."""
    if len(row.jobs) == 1:
        return _ending(row.jobs[0])
    completed = [job for job in row.jobs if job.status == "completed" and has_value(job)]
    if len(completed) == len(row.jobs):
        return "completed"
    endings: dict[str, list[Outcome]] = {}
    for job in row.jobs:
        if job not in completed:
            endings.setdefault(_ending(job), []).append(job)
    if len(endings) == 1 and not completed:
        return next(iter(endings))
    parts = [f"{len(completed)} of {len(row.jobs)} completed"]
    differing = [key for key in REPEATS if key in varied(row.jobs)]
    for ending, jobs in endings.items():
        which = [f"{key.split('.')[-1]} {_numbers([job.overrides.get(key, '') for job in jobs])}" for key in differing]
        parts.append(f"{' '.join(which)} {ending}")
    return "; ".join(parts)


def _ending(job: Outcome) -> str:
    text = job.status
    if job.status == "completed" and not has_value(job):
        text += " without a finite objective"
    if job.status == PRUNED and job.value is not None:
        text += f" at {metric(job.objective, job.value)}"
    return f"{text}: {job.error}" if job.error else text


def _group(row: Ranked) -> dict[str, float | None]:
    low, high = row.interval or (None, None)
    figures = (row.rank, row.mean, row.std, low, high, len(row.values))
    return dict(zip(GROUP, figures, strict=True))


def _numbers(values: Sequence[int | str]) -> str:
    """`0,2-5`: consecutive whole numbers are one range."""
    texts = [str(value) for value in values]
    if not all(text.isdecimal() for text in texts):
        return ",".join(dict.fromkeys(texts))
    ranges: list[list[int]] = []
    for number in sorted({int(text) for text in texts}):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(_range(low, high) for low, high in ranges)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low},{high}" if high == low + 1 else f"{low}-{high}"
