"""Which jobs a sweep has, where each lies, and which of them are done."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.sweeps.job import PRUNED, Job
from trainer.system.atomic import storing, write_text
from trainer.system.errors import RunError, TrainerError

if TYPE_CHECKING:  # torch comes with it
    from trainer.engine.loop import Hook

PLAN = "plan.json"


@dataclass
class Asked:
    """A job as it was composed, or why it could not be."""

    typed: list[str]
    config: Config | None
    mistake: TrainerError | None = None

    @property
    def digest(self) -> str:
        """By which the job is known again: of its config, or of what was typed where that is none."""
        return self.config.digest() if self.config is not None else "\n".join(self.typed)


@dataclass
class Planned:
    """A job with its number and its run directory in the sweep's."""

    number: int
    directory: Path
    asked: Asked
    label: str  # the overrides in which it differs from others
    finished: dict[str, Any] | None = None  # the content of its result.json, if nothing is left to do
    hooks: "tuple[Hook, ...]" = ()  # that watch its training, beside those of every run

    def ended(self, status: str, error: str = "") -> Job:
        """Its line of sweep.jsonl, without results."""
        return Job(self.number, self.overrides, status, 0.0, error=error)

    def completed(self, result: dict[str, Any]) -> Job:
        """Its line of sweep.jsonl, for the content of its result.json."""
        pruned = str(result.get("stopped")).startswith(PRUNED)
        job, objective = self.ended(PRUNED if pruned else result["status"]), result["objective"]
        job.objective, job.direction = objective["name"], objective["direction"]
        job.value, job.best_epoch, job.metrics = objective["value"], result["best_epoch"], result["metrics"]
        job.seconds = result["seconds"]
        return job

    @property
    def overrides(self) -> dict[str, str]:
        """What was typed for it, by key."""
        return dict(override.split("=", 1) for override in self.asked.typed)

    @property
    def started(self) -> bool:
        """Whether there is something to go on from."""
        return any((self.directory / "checkpoints" / name).exists() for name in ("last.pt", "previous.pt"))

    @property
    def state(self) -> str:
        """What a dry run says of it."""
        if self.asked.mistake is not None:
            return f"cannot run: {self.asked.mistake.message}"
        return "done" if self.finished is not None else "go on" if self.started else "run"


def plan(directory: Path, asked: list[Asked]) -> list[Planned]:
    """Number the jobs. One that was there before, with the same config, keeps its number and directory."""
    before = known(directory)
    following = max(before, default=-1) + 1
    planned = []
    for job in asked:
        number = next((n for n, digest in before.items() if digest == job.digest), None)
        if number is not None:
            del before[number]
        else:
            number, following = following, following + 1
        place = directory / str(number)
        planned.append(Planned(number, place, job, _label(job, asked), _finished(place)))
    return planned


def _label(job: Asked, asked: list[Asked]) -> str:
    varied = [override for override in job.typed if any(override not in other.typed for other in asked)]
    return " ".join(varied or job.typed)


def claim(directory: Path, planned: list[Planned]) -> None:
    """Make the jobs' directories, and remember which job each is of."""
    digests = known(directory) | {job.number: job.asked.digest for job in planned}
    write_text(directory / PLAN, json.dumps(digests, indent=0, sort_keys=True) + "\n")
    for job in planned:
        with storing(job.directory):
            job.directory.mkdir(exist_ok=True)


def known(directory: Path) -> dict[int, str]:
    """The digests of the jobs that there are."""
    try:
        found = json.loads((directory / PLAN).read_text(encoding="utf-8"))
        return {int(number): str(digest) for number, digest in sorted(found.items())}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{directory / PLAN} cannot be read", "start the sweep anew: trainer train -m ...") from error


def _finished(directory: Path) -> dict[str, Any] | None:
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("status") == "completed" else None
