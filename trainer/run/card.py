"""What is known of a training once its model has been tested: README.md, and what report.html has of it, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from trainer.data.splits import Dataset, Split
from trainer.engine import bootstrap
from trainer.engine.bootstrap import Intervals
from trainer.engine.measures import SPLITS
from trainer.engine.metrics import Evaluation
from trainer.run import closing, judgement, records, summary
from trainer.run.directory import CARD
from trainer.run.outcome.testing import Tested
from trainer.run.parts import Parts
from trainer.show import values
from trainer.show.captions import caption
from trainer.show.card import Card, figures
from trainer.show.markdown import listed
from trainer.system import inside
from trainer.system.atomic import write_text
from trainer.system.errors import StorageError
from trainer.system.paths import quoted
from trainer.system.shown import counted, shortened

EXPORTED = "\n## Exported files\n"
_LONGEST = 2**20  # bytes of a card
LISTED = 100  # classes, or columns, up to which each is named
FEW = 10  # samples of a class in the test: its figures say little of fewer
LETTERS = 60  # of a name
# The pictures by the stems of their files, in the order in which they are best read.
PICTURES = ("confusion", "roc", "reliability", "residuals", "fit", "predictions", "curves")


def made(
    parts: Parts,
    directory: Path,
    test: Tested,
    result: dict[str, Any],
    intervals: Intervals,
    seconds: float,
    drawn: Sequence[str],
) -> Card:
    """The model card of a training with that `result`, which took so many `seconds`, and has `drawn` its pictures."""
    evaluation, data = test.evaluation, parts.data
    few = data.classes is not None and len(data.classes) <= LISTED
    return Card(
        title=parts.name,
        evaluated=f"test split, {counted(len(data.test), 'sample')}",
        summary=_summary(parts),
        figures=figures(evaluation.metrics | evaluation.further | test.result, intervals),
        data=[*_data(parts)],
        recipe=[*_recipe(parts, result, seconds)],
        limits=[*_limits(data, evaluation, named(intervals))],
        typed=" ".join(["trainer train", *map(quoted, records.overrides(directory))]),
        example="photo.jpg" if data.is_image else "rows.csv",
        classes=classes(data, evaluation, range(len(data.classes))) if few and data.classes is not None else None,
        pictures=[
            (path, caption(stem) or stem) for stem in PICTURES for path in drawn if PurePosixPath(path).stem == stem
        ],
    )


def exported(checkpoint: Path, name: str, said: str) -> None:
    """Say at the end of the card of a checkpoint's run that it was exported as a file of this `name`.

    What was said of a file of that name is replaced. A checkpoint that lies in no run has no card, and that of somebody
    else's run cannot be written: both are left alone.
    """
    path = checkpoint.parent.parent / CARD
    try:
        text = inside.content(path, _LONGEST).decode()
    except (OSError, ValueError):
        return
    text, _, before = text.partition(EXPORTED)
    line = listed([(shortened(name, LETTERS), said)])
    start = line[: line.index("**: ")]
    lines = [kept for kept in before.splitlines(keepends=True) if kept.strip() and not kept.startswith(start)]
    with suppress(StorageError):
        write_text(path, f"{text}{EXPORTED}\n{''.join(lines)}{line}")


def named(intervals: Intervals) -> dict[str, list[float]]:
    """The intervals as result.json has them."""
    return {f"test/{name}": [*ends] for name, ends in intervals.items()}


def intervals(test: Tested) -> Intervals:
    """The 95% intervals of what a test found."""
    if test.outcome is not None:
        return bootstrap.intervals(test.outcome)
    return bootstrap.of_classes(test.evaluation) if test.evaluation.counts else {}


def _summary(parts: Parts) -> str:
    data, model = parts.data, f"{parts.config.called('model')}, {dict(summary.opening(parts))['model']}"
    kind = "Images" if data.is_image else "Rows of a table" if data.columns else "Samples"
    what = f"are told apart, as one of {len(data.classes):,} classes" if data.classes is not None else "give a quantity"
    return f"{kind} {what}, by {model}."


def _data(parts: Parts) -> Iterator[tuple[str, str]]:
    data = parts.data
    yield "data", parts.config.title("data")
    for name, split in _splits(data):
        yield SPLITS.get(name, name), counted(len(split), "sample")
    if data.columns:
        few = ", ".join(shortened(column, LETTERS) for column in data.columns[:LISTED])
        yield "features", few + (f", and {len(data.columns) - LISTED:,} more" if len(data.columns) > LISTED else "")
    else:
        yield "shape of a sample", "x".join(map(str, data.train.shape))
    if data.classes is not None:
        counts = _counts(data.train, len(data.classes))
        yield "classes", f"{len(data.classes):,}, with {min(counts):,} to {max(counts):,} training samples each"
    else:
        low, high = data.train.targets.amin(0).tolist(), data.train.targets.amax(0).tolist()
        spans = "; ".join(f"{a:.6g} to {b:.6g}" for a, b in zip(low[:LISTED], high[:LISTED], strict=True))
        yield "target", f"a quantity, in training from {spans}"
    for line in data.notes:
        yield "note", line
    if data.skipped:
        yield "left out", f"{counted(len(data.skipped), 'file')} that cannot be read (skipped.txt)"


def _recipe(parts: Parts, result: dict[str, Any], seconds: float) -> Iterator[tuple[str, str]]:
    state = parts.state
    for label, text in summary.opening(parts):
        if label not in ("data", "cache", "note"):
            yield label, f"{parts.config.called('model')}, {text}" if label == "model" else text
    yield "trained", f"{counted(state.epoch, 'epoch')}, {counted(state.step, 'step')}, {values.duration(seconds)}"
    if state.stop:
        yield "stopped", state.stop
    if result["best_epoch"] is not None:
        yield "best epoch", closing.best(result)
    said = summary.environment(parts.compute)
    yield "with", ", ".join(f"{name} {said[name]}" for name in ("trainer", "python", "torch", "platform"))


def _limits(data: Dataset, evaluation: Evaluation, intervals: Mapping[str, Sequence[float]]) -> Iterator[str]:
    if doubt := judgement.useless(evaluation, intervals):
        yield doubt.text
    total = len(data.test)
    if evaluation.counts and sum(evaluation.right) == total:
        bound = 3 / total  # the rule of three
        yield f"no mistake in {counted(total, 'sample')} says, with 95% confidence: less than {bound:.2%} are wrong"
    few = [name for name, count in zip(data.classes or (), evaluation.counts, strict=False) if count < FEW]
    if few:
        named = ", ".join(shortened(name, LETTERS) for name in few[:FEW]) + (", ..." if len(few) > FEW else "")
        yield f"the test split has fewer than {FEW} samples of {named}: it says little of them"
    yield "the figures are of samples like those of the test split, and say nothing of others"


def classes(data: Dataset, evaluation: Evaluation, numbers: Iterable[int]) -> tuple[list[str], list[list[str]]]:
    """Of the classes of these numbers the share that is told right, and the samples of each split."""
    assert data.classes is not None
    splits = _splits(data)
    header = ["class", "told right", *(SPLITS.get(name, name) for name, _ in splits)]
    counts = [_counts(split, len(data.classes)) for _, split in splits]
    rows = []
    for number in numbers:
        share = evaluation.per_class[number]
        told = "" if share != share else values.metric("accuracy", share)
        rows.append([shortened(data.classes[number], LETTERS), told, *(f"{of[number]:,}" for of in counts)])
    return header, rows


def _splits(data: Dataset) -> list[tuple[str, Split]]:
    each = [("train", data.train), ("val", data.val), ("test", data.test)]
    return [(name, split) for name, split in each if split is not None]


def _counts(split: Split, classes: int) -> list[int]:
    found: list[int] = torch.bincount(split.targets, minlength=classes).tolist()
    return found
