"""A training that is run again, and compared with what it left the first time."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import checkpoint
from trainer.compare import sameness
from trainer.compare.entries import Entry
from trainer.compare.finding import at
from trainer.compare.pair import environment
from trainer.compare.sameness import ROUNDING, Compared
from trainer.config.train import Train
from trainer.data.described import fingerprint
from trainer.engine.schedule import planned
from trainer.run import records, starting
from trainer.run.rows import NAME, whole_rows
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.system import machine
from trainer.system.errors import CheckpointError, ConfigError, RunError, TrainingFailedError, UnequalError
from trainer.system.paths import quoted
from trainer.system.shown import counted

_THREADS = re.compile(r"cpu, (\d{1,4}) threads?,")
_BY_THE_CLOCK = "max_minutes="  # what the reason begins with for which such a training stopped


@dataclass(frozen=True)
class Curve:
    """What a run has left: its rows, and its last weights with the step that they are of, if they can be read."""

    run: Entry
    rows: Sequence[dict[str, Any]]
    weights: Mapping[str, Tensor] | None
    step: int | None
    fingerprint: str | None


def run(config: Train, screen: Report) -> dict[str, Any]:
    """Run the training in `config.directory` again, in a new directory, and say how far it is the same.

    Returns:
        `verdict` (equal, or rounding), and the run directory as `path`.

    Raises:
        UserError: There is nothing to compare with, or it cannot be run again.
        UnequalError: It is not the same.
    """
    original = config.directory
    assert original is not None
    before = _left(original)
    if not before.rows:
        raise RunError(f"{original} has no row in {NAME}: there is nothing to compare with", "train it: trainer train")
    _leave_the_clock(config, before.run, screen)
    _take_threads(before.run, screen)
    config.change("devices", 1)  # with several, the results are the same
    config.typed = [*records.overrides(original), *(word for word in config.typed if not word.startswith("run="))]
    with starting.opened(config, screen, reproduced=original) as training:
        _check_data(training, before, screen)
        with suppress(*((TrainingFailedError,) if before.run.status == "failed" else ())):
            training.run()
        directory = training.directory
    return _judge(before, _left(directory), ROUNDING[config.precision], screen)


def _left(directory: Path) -> Curve:
    try:
        rows = whole_rows(directory / NAME)[0]
    except OSError:
        rows = []
    entry = Entry(at(str(directory)))
    try:
        found = checkpoint.read(directory / "checkpoints" / "last.pt")
    except CheckpointError:
        return Curve(entry, rows, None, None, None)
    return Curve(entry, rows, found.model, found.training.get("step"), found.description.get("fingerprint"))


def _leave_the_clock(config: Train, run: Entry, screen: Report) -> None:
    """A training that ended by the clock ends after as many steps now.

    Raises:
        ConfigError: Its schedule was laid out by the clock, too, and is another one each time.
    """
    if config.max_minutes is None:
        return
    if str(run.result.get("stopped")).startswith(_BY_THE_CLOCK):
        steps = run.result.get("steps")
        if not steps:
            raise RunError(f"{run.path} does not say after how many steps it ended", "train it: trainer train")
        if planned(config).whole:
            raise ConfigError(
                f"{run.path}: its schedule was laid out by the clock (max_minutes={config.max_minutes:g}), "
                "and is another one each time",
                f"train it with max_steps={steps} in the place of max_minutes",
            )
        screen.say(f"max_minutes={config.max_minutes:g} ended it after {steps:,} steps; so it ends now")
        config.change("max_steps", steps)
    config.change("max_minutes", None)


def _take_threads(run: Entry, screen: Report) -> None:
    """Compute with as many threads as the run, whose sums were made in that order."""
    found = _THREADS.match(environment(run).get("device", ""))
    threads = int(found[1]) if found else 0
    if 1 <= threads <= machine.cores() and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
        screen.say(f"computing with {counted(threads, 'thread')}, as the run did")


def _check_data(training: Training, before: Curve, screen: Report) -> None:
    if before.fingerprint not in (None, fingerprint(training.parts.data.train)):
        screen.warn(f"the samples are not those that {before.run.path} was trained on: the curves will part")


def _judge(before: Curve, after: Curve, rounding: float, screen: Report) -> dict[str, Any]:
    """Say how far two trainings are the same, and what may explain that they are not.

    Raises:
        UnequalError: They part.
    """
    rows = sameness.curves(before.rows, after.rows, rounding)
    if not rows.count:
        raise UnequalError("the curves have no step in common", _explained(before, after))
    parts, compared = [rows], [f"{counted(rows.count, 'row')} of the curve"]
    if before.weights is not None and after.weights is not None and before.step == after.step:
        parts.append(sameness.weights(before.weights, after.weights, rounding))
        compared.append(f"all {counted(parts[-1].count, 'weight')}")
    said = f"{' and '.join(compared)} of {before.run.path}"
    beyond = next((part.beyond for part in parts if part.beyond is not None), None)
    if beyond is not None:
        raise UnequalError(
            f"it is not the same as {before.run.path}: they part at {beyond} ({beyond.relative:.1e} of it)",
            _explained(before, after),
        )
    facts = [("reproduced", f"equal to the bit: {said}")]
    worst = _worst(parts)
    if worst is not None:
        facts = [("reproduced", f"equal within rounding: {said}")]
        facts.append(("largest", f"relative difference {worst.relative:.1e}, at {worst}"))
        facts.append(("first", str(next(part.first for part in parts if part.first is not None))))
    lacking = len(before.rows) - rows.count
    if lacking:
        facts.append(("note", f"{counted(lacking, 'row')} of the run {'is' if lacking == 1 else 'are'} not compared"))
    if len(parts) == 1:
        facts.append(("note", "the weights are not compared: they are not of the same step, or not there"))
    facts += [("differs", line) for line in _differences(before, after)]
    screen.panel("reproduce", facts)
    screen.commands([f"trainer runs {quoted(before.run.path)} {quoted(after.run.path)}"])
    return {"verdict": "equal" if worst is None else "rounding", "path": str(after.run.path)}


def _worst(parts: Sequence[Compared]) -> sameness.Apart | None:
    return max((part.worst for part in parts if part.worst is not None), key=lambda one: one.relative, default=None)


def _explained(before: Curve, after: Curve) -> str:
    lines = _differences(before, after)
    both = f"trainer runs {quoted(before.run.path)} {quoted(after.run.path)}"
    why = "; ".join(lines) if lines else "versions, device, data and commit are the same"
    return f"{why}; side by side: {both}"


def _differences(before: Curve, after: Curve) -> list[str]:
    """What differs of the environments, which may explain why the trainings do."""
    one, other = environment(before.run), environment(after.run)
    found = [f"{key}: {one[key]}, now {other.get(key, 'none')}" for key in one if one[key] != other.get(key)]
    if None not in (before.fingerprint, after.fingerprint) and before.fingerprint != after.fingerprint:
        found.insert(0, "the samples are others")
    if before.run.config.get("sweep") in ("batched", "auto") and before.run.path.name.isdecimal():
        found.append(
            "the run was a job of a sweep, and may have been trained in a batch, whose sums are rounded otherwise"
        )
    return found
