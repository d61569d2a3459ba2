"""What a run goes back to: the weights that it began with, what these began with, and so on while they are there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.run import origin, records
from trainer.system.shown import counted

LONGEST = 20  # runs back


@dataclass(frozen=True)
class Step:
    """Weights that a run began with; `run` is the directory that they lie in, if it is still there."""

    path: str
    epoch: int | None
    step: int | None
    run: Path | None

    def __str__(self) -> str:
        trained = [f"epoch {self.epoch}"] * (self.epoch is not None) + [f"step {self.step}"] * (self.step is not None)
        notes = [*trained, *(["no longer there"] if self.run is None else [])]
        return self.path + (f" ({', '.join(notes)})" if notes else "")


def back(directory: Path) -> list[Step]:
    """The runs that a run goes back to by `from=`, the nearest first."""
    return list(_back(directory))


def _back(directory: Path) -> Iterator[Step]:
    seen = {directory.absolute()}
    for _ in range(LONGEST):
        parent = parent_of(directory)
        if parent is None:
            return
        file = Path(parent["path"])
        run = _run_of(file)
        yield Step(parent["path"], parent.get("epoch"), parent.get("step"), run)
        if run is None or run.absolute() in seen:
            return
        seen.add(run.absolute())
        directory = run


def parent_of(directory: Path) -> dict[str, Any] | None:
    """The checkpoint that a run began with: its path, epoch and step; None if it began with none."""
    return origin.read(directory).get("parent") or records.read_result(directory).get("parent")


def _run_of(file: Path) -> Path | None:
    """The directory of the run that a checkpoint file belongs to."""
    try:
        if not file.is_file():
            return None
    except (OSError, ValueError):
        return None
    return file.parent.parent if file.parent.name == "checkpoints" else file.parent


def told(directory: Path) -> list[tuple[str, str]]:
    """Labelled lines on where a run comes from."""
    found = origin.read(directory)
    lines = [("weights" if number == 0 else "", f"of {step}") for number, step in enumerate(back(directory))]
    if found.get("reproduces"):
        lines.append(("reproduces", found["reproduces"]))
    resumed = found.get("resumed", [])
    for number, again in enumerate(resumed[-5:]):
        stood = f"after {counted(again['epoch'], 'epoch')}, {counted(again['step'], 'step')}"
        lines.append(
            ("resumed" if number == 0 else "", f"{again['when']} {stood}, on {again['environment'].get('device')}")
        )
    if len(resumed) > 5:
        lines.append(("", f"and {counted(len(resumed) - 5, 'time')} before"))
    return lines
