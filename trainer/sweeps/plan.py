"""Which jobs a sweep has, where each lies, and which of them are done."""

import itertools
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.compare.ranking import REPEATS
from trainer.config.train import Train
from trainer.run import records
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.show.report import Report
from trainer.system.atomic import storing, write_text
from trainer.system.errors import RunError, StorageError, TrainerError
from trainer.system.inside import json_of
from trainer.system.shapes import is_text, table
from trainer.system.shown import counted

if TYPE_CHECKING:  # torch comes with it
    from trainer.engine.loop import Hook

PLAN = "plan.json"
LONGEST = 2**24  # bytes of it that are read: about three hundred thousand jobs
BY_TEST = "its figure is too good then; hold samples out to choose by: data.val_fraction=0.1 evaluate.split=val"
LONG = 200  # letters of the first line where it may have any length
_DIGITS = 9  # of the number of a job


def _is_plan(found: Any) -> bool:
    return table(is_text)(found) and all(n.isascii() and n.isdigit() and len(n) <= _DIGITS for n in found)


@dataclass
class Asked:
    """A job as it was composed, or the mistake for which it could not be."""

    typed: list[str]
    config: Train | None
    mistake: TrainerError | None = None

    @cached_property
    def digest(self) -> str:
        """What the job is recognised by when the sweep is resumed: its config's digest, or the words if it has none."""
        return self.config.digest() if self.config is not None else "\n".join(self.typed)


@dataclass
class Planned:
    """A job with its number and its run directory in the sweep's."""

    number: int
    directory: Path
    asked: Asked
    label: str  # the overrides in which the job differs from others
    finished: dict[str, Any] | None = None  # the content of its result.json, if nothing is left to do
    hooks: "tuple[Hook, ...]" = ()  # of its training, in addition to those of every run
    together: bool = False  # in a batched sweep: whether it shares every step, also when resumed, with those beside it

    def ended(self, status: str, error: str = "") -> Outcome:
        """The job's line of sweep.jsonl without results."""
        return Outcome(self.number, self.overrides, status, 0.0, error=error)

    def failed(self, error: str) -> Outcome:
        """The outcome of a job that has failed; its result.json is written if its training has not written one."""
        if not records.read_result(self.directory):
            with suppress(StorageError):  # then the sweep's own files tell it
                records.write_result(self.directory, {"status": "failed", "metrics": {}, "error": error})
        return self.ended("failed", error)

    def completed(self, result: dict[str, Any]) -> Outcome:
        """The job's line of sweep.jsonl for the content of its result.json, also if it has failed."""
        job = self.ended(result["status"], str(result.get("error") or ""))
        job.seconds = float(result.get("seconds") or 0.0)
        if job.status == "completed":
            job.status = PRUNED if records.pruned(result) else "completed"
            objective = result["objective"]
            job.objective, job.direction, job.value = objective["name"], objective["direction"], objective["value"]
            job.best_epoch = result["best_epoch"]
            job.metrics = {name: value for name, value in result["metrics"].items() if value is not None}
        return job

    @property
    def overrides(self) -> dict[str, str]:
        """The words that were typed for the job, by key."""
        return dict(override.split("=", 1) for override in self.asked.typed)

    @property
    def started(self) -> bool:
        """Whether the job has a checkpoint to be continued from."""
        return any((self.directory / "checkpoints" / name).exists() for name in ("last.pt", "previous.pt"))

    @property
    def state(self) -> str:
        """What a dry run says of the job."""
        if self.asked.mistake is not None:
            return f"cannot run: {self.asked.mistake.message}"
        return "done" if self.finished is not None else "go on" if self.started else "run"


def numbered(directory: Path, asked: list[Asked]) -> list[Planned]:
    """Number the jobs of a sweep. A job whose config the sweep had before keeps its number and directory."""
    before: dict[str, list[int]] = {}
    for number, digest in known(directory).items():
        before.setdefault(digest, []).append(number)
    unused = itertools.count(1 + max(itertools.chain(*before.values()), default=-1))
    frequency = Counter(word for job in asked for word in set(job.typed))
    planned = []
    for job in asked:
        numbers = before.get(job.digest)
        number = numbers.pop(0) if numbers else next(unused)
        differing = [word for word in job.typed if frequency[word] < len(asked)]
        place = directory / str(number)
        result = records.read_result(place)
        finished = result if result.get("status") == "completed" else None
        planned.append(Planned(number, place, job, " ".join(differing or job.typed), finished))
    return planned


def claim(directory: Path, planned: list[Planned]) -> None:
    """Make the directories of the jobs, and write down which job each belongs to.

    Raises:
        StorageError: the sweep's directory cannot be written to.
    """
    digests = known(directory) | {job.number: job.asked.digest for job in planned}
    write_text(directory / PLAN, json.dumps(digests, indent=0, sort_keys=True) + "\n")
    for job in planned:
        with storing(job.directory):
            job.directory.mkdir(exist_ok=True)


def _by_test(config: Train) -> bool:
    """Whether jobs are ranked by the test split, as far as it is known before the data are read."""
    asked = config.objective
    return asked.startswith("test/") or (asked == "auto" and config.evaluate.split == "test")


def known(directory: Path) -> dict[int, str]:
    """The digests of the sweep's jobs by their numbers; empty for a new sweep.

    Raises:
        RunError: the file that has them cannot be read.
    """
    try:
        found = json_of(directory / PLAN, LONGEST)
        if not _is_plan(found):
            raise ValueError("it is not the plan of a sweep")
        return {int(number): digest for number, digest in sorted(found.items())}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{directory / PLAN} cannot be read", "start a new sweep: trainer train -m ...") from error


def begin(screen: Report, directory: Path, title: str, said: str, keys: Iterable[str]) -> None:
    """Print the first lines of a sweep over `keys`: what it is, and where."""
    text = f"{said} over {', '.join(keys)}" if keys else said
    room = (screen.room or LONG) - len(title) - 2
    screen.heading(title, textwrap.shorten(text, max(room, len(said) + 4), placeholder=" ..."))
    screen.facts("", [("in", str(directory))])


class Listed:
    """The jobs of a sweep, which are all known from the start. (A `Search` has the same methods.)"""

    def __init__(self, directory: Path, asked: list[Asked]) -> None:
        self.directory, self.asked = directory, asked
        self.planned = numbered(directory, asked)
        self.plots = any(job.config is not None and job.config.plots for job in asked)

    @property
    def expected(self) -> int:
        """How many jobs there will be in all."""
        return len(self.planned)

    def begin(self, screen: Report, noted: Mapping[int, Outcome]) -> list[Outcome]:
        """Prepare the sweep's directory; return the jobs that are done. `noted` are those of sweep.jsonl by number."""
        words = Counter(word for job in self.asked for word in dict.fromkeys(job.typed))
        keys = dict.fromkeys(word.partition("=")[0] for word, count in words.items() if count < len(self.asked))
        begin(screen, self.directory, "sweep", counted(len(self.planned), "job"), keys)
        claim(self.directory, self.planned)
        if set(keys) - set(REPEATS) and any(job.config is not None and _by_test(job.config) for job in self.asked):
            screen.warn(f"the test split picks the best here: {BY_TEST}")
        return [planned.completed(planned.finished) for planned in self.planned if planned.finished is not None]

    def todo(self) -> Iterator[Planned]:
        """The jobs to run, each decided when it is taken."""
        return (planned for planned in self.planned if planned.finished is None)

    def done(self, job: Outcome) -> None:
        """Hear that a job has ended, or was interrupted."""

    def unfinished(self, jobs: Sequence[Outcome]) -> bool:
        """Whether the sweep would run something if it was resumed after `jobs`."""
        return any(job.status in ("not run", "interrupted", "failed") for job in jobs)

    def failure(self, jobs: Sequence[Outcome]) -> str:
        """Why the sweep has failed, or "" if it has not."""
        failed = sum(job.status == "failed" for job in jobs)
        return f"{failed} of the sweep's jobs failed" if failed else ""

    def importance(self) -> None:
        """Only a search says what matters."""

    def outlook(self) -> str:
        """What a dry run says of jobs that are not known yet."""
        return ""
