"""The two that are compared: each is a run, or several that differ in nothing but their seed or their fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from trainer.compare import finding
from trainer.compare.entries import Entry, SweepEntry, made
from trainer.compare.finding import Place
from trainer.compare.listing import differing
from trainer.compare.ranking import REPEATS, Ranked, ranked, varied
from trainer.run.sweep_log import Outcome


@dataclass(frozen=True)
class Side:
    """One of them; `note` says what was taken of a sweep."""

    name: str
    runs: tuple[Entry, ...]
    note: str = ""

    @property
    def first(self) -> Entry:
        return self.runs[0]

    @cached_property
    def ranked(self) -> Ranked:
        """Its objective over the folds or seeds."""
        return Ranked({}, tuple(_outcome(number, run) for number, run in enumerate(self.runs)))

    def values(self, metric: str) -> list[float]:
        """A metric of each run that has it."""
        return [run.metrics[metric] for run in self.runs if metric in run.metrics]


def of(places: Sequence[Place]) -> list[Side] | None:
    """The sides that two places stand for; None where one of them is a folder of runs of several kinds."""
    found = [_side(place) for place in places]
    return [side for side in found if side is not None] if None not in found else None


def _side(place: Place) -> Side | None:
    if place.is_run:
        return Side(str(place.path), (made(place),))
    if place.is_sweep:
        return _of_sweep(place)
    runs = [made(found) for found in finding.below(place) if found.is_run]
    if not runs or not set(differing(runs)) <= set(REPEATS):
        return None
    return Side(str(place.path), tuple(runs))


def _of_sweep(place: Place) -> Side | None:
    """The best settings of a sweep, with all of their folds and seeds."""
    outcomes = SweepEntry(place).outcomes
    rows = [row for row in ranked(outcomes) if row.rank == 1]
    if not rows:
        return None
    jobs = {job.path.name: made(job) for job in finding.jobs(place)}
    runs = tuple(jobs[str(job.job)] for job in rows[0].jobs if str(job.job) in jobs)
    if not runs:
        return None
    keys = [key for key in varied(outcomes) if len(outcomes) > len(rows[0].jobs)]
    words = " ".join(f"{key}={rows[0].overrides[key]}" for key in keys if key in rows[0].overrides)
    return Side(str(place.path), runs, f"its best settings, {words}" if words else "")


def _outcome(number: int, run: Entry) -> Outcome:
    """A run as a job of a sweep, which the ranking knows."""
    repeats = {key: str(run.config[key]) for key in REPEATS if run.config.get(key) is not None}
    objective = run.objective
    return Outcome(
        number,
        repeats,
        run.ending,
        run.seconds or 0.0,
        objective.get("name", ""),
        objective.get("direction", "max"),
        objective.get("value"),
    )
