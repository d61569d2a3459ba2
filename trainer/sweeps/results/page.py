"""report.html of a sweep: the best settings, the ranking, what was varied, and what failed, for a browser."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from trainer.compare.ranking import Ranked, has_value, ranked, varied
from trainer.run import origin, records
from trainer.run.directory import PAGE, event_files
from trainer.run.sweep_log import Outcome
from trainer.show import html
from trainer.show.values import metric
from trainer.sweeps.results import table as results
from trainer.sweeps.results.captions import caption
from trainer.system import inside
from trainer.system.atomic import write_text
from trainer.system.paths import quoted
from trainer.system.shown import counted, shortened

ROWS = 200  # of the ranking; results.csv has all
FAILED = 50  # jobs whose reasons are listed
VALUES = 20  # of a key that was varied
CELL, REASON = 60, 500  # letters
_LONGEST = 2**25  # bytes of a picture


def leave(
    directory: Path, jobs: Sequence[Outcome], pictures: Sequence[Path], took: str, following: Sequence[str]
) -> None:
    """Write the report of a sweep that has `took` so long, and has just drawn its `pictures`.

    `following` are commands to go on with.

    Raises:
        StorageError: It cannot be written.
    """
    rows = ranked(jobs)
    best = [row for row in rows if row.rank == 1]  # of each objective
    title = f"{directory.parent.name} {directory.name}"
    body = [
        html.heading(title, _summary(jobs, best, took)),
        *(html.notice("", f"{text}.") for label, text in results.facts(jobs) if label in ("result", "note")),
        html.section("The best", _best(directory, best)),
        html.section("Ranking", _ranking(directory, jobs, rows)),
        html.section("What was varied", [html.table(("key", "values"), _varied(jobs))]),
        html.section("Pictures", _pictures(pictures)),
        html.section("What failed", _failed(jobs)),
        html.section("The way back", [html.commands([_typed(directory)]), html.facts(_environment(directory, best))]),
        html.section("Files", [html.table(("file", "what it holds"), *_files(directory))]),
        html.section("What to do next", [html.commands([*following, *_board(directory, best)])]),
    ]
    write_text(directory / PAGE, html.page(f"{title}: report", filter(None, body)))


def _summary(jobs: Sequence[Outcome], best: Sequence[Ranked], took: str) -> str:
    done = sum(has_value(job) for job in jobs)
    of = counted(len(jobs), "job") + (f", of which {done:,} have a result" if done < len(jobs) else "")
    names = " and ".join(dict.fromkeys(row.objective for row in best))
    return f"{of}, in {took}" + (f", ranked by {names}." if names else ".")


def _best(directory: Path, best: Sequence[Ranked]) -> Iterator[str]:
    for row in best:
        assert row.mean is not None
        spread = f"± {row.std:.2g} over {row.counted}" if row.std is not None else ""
        interval = row.interval
        if interval is not None:
            ends = " to ".join(metric(row.objective, end) for end in interval)
            spread = f"95%: {ends}, over {row.counted}"
        test = [(name, metric(name, value), "") for name, value in row.best.metrics.items() if name in results.TEST]
        yield html.tiles([(row.objective, metric(row.objective, row.mean), spread), *test])
        yield html.facts((key, shortened(value, CELL)) for key, value in row.overrides.items())
        yield html.link(f"The report of job {row.best.job}", _report(directory, row.best))


def _ranking(directory: Path, jobs: Sequence[Outcome], rows: Sequence[Ranked]) -> Iterator[str]:
    header, cells = results.table(jobs)
    links = [_report(directory, row.best) for row in rows[:ROWS]]
    yield html.table(header, [[shortened(cell, CELL) for cell in line] for line in cells[:ROWS]], links)
    if any(links):
        yield html.paragraph("A rank leads to the report of its best job.")
    if len(cells) > ROWS:
        yield html.paragraph(f"... and {len(cells) - ROWS:,} more, in results.csv.")


def _varied(jobs: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    for key in varied(jobs):
        values = [*dict.fromkeys(job.overrides[key] for job in jobs if key in job.overrides)]
        more = f", and {len(values) - VALUES:,} more" if len(values) > VALUES else ""
        yield shortened(key, CELL), ", ".join(shortened(value, CELL) for value in values[:VALUES]) + more


def _pictures(pictures: Sequence[Path]) -> Iterator[str]:
    for path in pictures:
        with suppress(OSError, ValueError):
            yield html.picture(inside.content(path, _LONGEST), path.stem, caption(path.stem))


def _failed(jobs: Sequence[Outcome]) -> Iterator[str]:
    failed, keys = [job for job in jobs if job.error], varied(jobs)
    rows = []
    for job in failed[:FAILED]:
        settings = " ".join(f"{key}={job.overrides[key]}" for key in keys if key in job.overrides)
        rows.append((str(job.job), job.status, shortened(settings, REASON), shortened(job.error, REASON)))
    yield html.table(("job", "status", "settings", "reason"), rows)
    if len(failed) > FAILED:
        yield html.paragraph(f"... and {len(failed) - FAILED:,} more, in results.csv.")


def _typed(directory: Path) -> str:
    return " ".join(["trainer train", *map(quoted, records.overrides(directory))])


def _environment(directory: Path, best: Sequence[Ranked]) -> Iterator[tuple[str, str]]:
    """Of the best job: when it began, versions, device, and the commit of the project."""
    if not best:
        return
    place = directory / str(best[0].best.job)
    began = origin.read(place)
    yield from [("started", began["when"])] if "when" in began else []
    yield from (records.read_result(place).get("environment") or {}).items()
    if (project := began.get("project")) is not None:
        yield "commit", project["commit"]


def _files(directory: Path) -> tuple[list[tuple[str, str]], list[str]]:
    names = {
        "results.csv": "a line for each job, best first",
        "sweep.jsonl": "how each job ended",
        "plan.json": "which job lies where",
        "overrides.yaml": "what was typed",
    }
    found = [(name, says) for name, says in names.items() if (directory / name).is_file()]
    return found, [name for name, _ in found]


def _board(directory: Path, best: Sequence[Ranked]) -> list[str]:
    """The command that shows the jobs in TensorBoard, if they have left something for it."""
    found = any(any(event_files(directory / str(row.best.job))) for row in best)
    return [f"tensorboard --logdir {quoted(directory)}"] * found


def _report(directory: Path, job: Outcome) -> str:
    """The address of a job's own report within the sweep; "" for one that is not there, or not trainer's."""
    name = f"{job.job}/{PAGE}"
    try:
        return name if html.is_safe(inside.head(directory / name, html.HEAD)) else ""
    except OSError:
        return ""
