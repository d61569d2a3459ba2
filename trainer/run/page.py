"""report.html of a run: what is known of a training once its model has been tested, collected for a browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.engine import hardest
from trainer.engine.measures import SPLITS
from trainer.engine.outcome import Outcome
from trainer.engine.state import Row
from trainer.run import card, closing, differing, judgement, origin, summary
from trainer.run.card import LETTERS, LISTED
from trainer.run.directory import CARD, EVENTS, PAGE
from trainer.run.judgement import Ended, Judgement
from trainer.run.outcome.testing import Tested
from trainer.run.parts import Parts
from trainer.show import values
from trainer.show.run_page import RunPage, Table
from trainer.system.atomic import write_text
from trainer.system.paths import argument
from trainer.system.shown import shortened

if TYPE_CHECKING:
    from trainer.run.outcome.leaving import Left

MOST = 12  # rows of mistakes, and of suspects
PAIRS = 10  # of confused classes
_FILES = {
    "checkpoints/best.pt": "the weights that were the best in the training",
    "checkpoints/last.pt": "the last weights, and what a training is resumed from",
    "config.yaml": "what was composed",
    "overrides.yaml": "what was typed",
    "origin.json": "when, where and from which commit it was started",
    "metrics.jsonl": "the figures of each epoch",
    "test/predictions.csv": "what the model says of each test sample, its mistakes first",
    "test/per_class.csv": "precision, recall and F1 of each class",
    "test/suspects.csv": "samples whose labels may be wrong",
    "skipped.txt": "files that could not be read",
    "train.log": "what was on the screen",
    CARD: "the model card",
}


@dataclass(frozen=True)
class Told:
    """A training that has been tested, has left its tables and has `drawn` pictures, by their paths in its directory.

    `result` is the content of result.json so far, and `rows` are those of metrics.jsonl.
    """

    parts: Parts
    directory: Path
    test: Tested
    left: "Left | None"
    result: dict[str, Any]
    seconds: float
    rows: Sequence[Row]
    drawn: Mapping[str, bytes]


def leave(told: Told) -> dict[str, Any]:
    """Write the model card and the report.

    Returns:
        The `intervals` of the metrics, as result.json has them.

    Raises:
        StorageError: One cannot be written.
    """
    parts, directory, test, left, result = told.parts, told.directory, told.test, told.left, told.result
    intervals = card.intervals(test)
    made = card.made(parts, directory, test, result, intervals, told.seconds, [*told.drawn])
    write_text(directory / CARD, made.text())
    ended = Ended(told.rows, result["best_epoch"], parts.state.stop)
    found = judgement.judged(ended, test.evaluation, card.named(intervals), parts.data.classes)
    page = RunPage(
        card=made,
        judged=found,
        best=_best(result),
        pictures=told.drawn,
        classes=_classes(test, parts),
        confused=_confused(test, parts),
        mistakes=_mistakes(test.outcome) if test.outcome is not None else None,
        suspected="; ".join(text for _, text in left.facts()) if left is not None else "",
        suspects=_suspects(left) if left is not None and left.suspected else None,
        calibration=_calibration(test.outcome) if test.outcome is not None else "",
        settings=[(key, shortened(value, 200), default) for key, value, default in differing.of(parts.config)],
        back=[*_back(parts, directory)],
        files=[*_files(directory, [*told.drawn])],
        following=_following(parts, directory, found),
    )
    write_text(directory / PAGE, page.text())
    return {"intervals": card.named(intervals)}


def _best(result: dict[str, Any]) -> str:
    return f"The best epoch is {closing.best(result)}." if result["best_epoch"] is not None else ""


def _classes(test: Tested, parts: Parts) -> Table | None:
    shares = test.evaluation.per_class
    if parts.data.classes is None:
        return None
    worst = sorted(range(len(shares)), key=lambda number: (shares[number] != shares[number], shares[number], number))
    return card.classes(parts.data, test.evaluation, worst[:LISTED])


def _confused(test: Tested, parts: Parts) -> Table | None:
    matrix, classes = test.evaluation.confusion, parts.data.classes
    if matrix is None or classes is None:
        return None
    rows = []
    for true, other in hardest.pairs(matrix, PAIRS):
        count = int(matrix[true, other])
        share = values.metric("accuracy", count / test.evaluation.counts[true])
        rows.append((_called(classes[true]), _called(classes[other]), f"{count:,}", share))
    return ("true class", "taken for", "samples", "share"), rows


def _mistakes(outcome: Outcome) -> Table:
    chosen, classes = outcome.wrong[:MOST].tolist(), outcome.classes
    names = [_called(str(outcome.name(number))) for number in chosen]
    if classes is None:
        pairs = [(outcome.targets[number].tolist(), outcome.predicted[number].tolist()) for number in chosen]
        shown = [[_numbers(true), _numbers(told)] for true, told in pairs]
        errors = [_numbers([b - a for a, b in zip(true, told, strict=True)]) for true, told in pairs]
        return ("true", "predicted", "error", "sample"), [
            [*pair, error, name] for name, pair, error in zip(names, shown, errors, strict=True)
        ]
    rows = []
    for name, number in zip(names, chosen, strict=True):
        true, told = int(outcome.targets[number]), int(outcome.predicted[number])
        probability = values.metric("accuracy", float(outcome.confidence[number]))
        rows.append([_called(classes[true]), _called(classes[told]), probability, name])
    return ("true class", "taken for", "probability", "sample"), rows


def _suspects(left: "Left") -> Table:
    assert left.suspects is not None
    rows = []
    for name, split, label, suggested, own, other in left.suspects.head(MOST).iter_rows():
        shares = [values.metric("accuracy", share) for share in (own, other)]
        named = [_called(str(text)) for text in (name, SPLITS.get(split, split), label, suggested)]
        rows.append([*named[2:], *shares, *named[:2]])
    return ("label", "suggested", "its probability", "suggested's", "sample", "split"), rows


def _calibration(outcome: Outcome) -> str:
    if outcome.classes is None:
        return ""
    sure = values.metric("accuracy", float(outcome.probabilities.amax(1).mean()))
    right = values.metric("accuracy", float((outcome.probabilities.argmax(1) == outcome.targets).double().mean()))
    error = values.metric("calibration_error", outcome.reliability.error)
    return (
        f"The model is {sure} sure on average, and right in {right} of the samples; its expected calibration error is "
        f"{error}."
    )


def _back(parts: Parts, directory: Path) -> Iterator[tuple[str, str]]:
    began = origin.read(directory)
    if "when" in began:
        yield "started", began["when"]
    for again in began.get("resumed", []):
        yield "resumed", again["when"]
    yield from summary.environment(parts.compute).items()
    if (project := began.get("project")) is not None:
        state = {None: "perhaps with changed files", True: "with changed files", False: "clean"}[project["changed"]]
        yield "commit", f"{project['commit']}, {state}"
    if (parent := began.get("parent")) is not None:
        yield "weights", f"of {parent['path']}"


def _files(directory: Path, drawn: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, says in _FILES.items():
        if (directory / name).is_file():
            yield name, says
    yield "result.json", "how it ended: figures, seconds, versions"
    for folder in dict.fromkeys(path.partition("/")[0] for path in drawn):
        yield f"{folder}/", "the pictures above, as files"
    if any(directory.glob(EVENTS)):
        yield "./", "events.out.tfevents..., for TensorBoard"


def _following(parts: Parts, directory: Path, found: Judgement | None) -> list[str]:
    """What the screen says, and what one comes to later."""
    run = argument(directory)
    later = [f"trainer export {run} format=onnx", f"trainer reproduce {run}"]
    if parts.data.classes is not None and parts.data.val is not None:
        later.insert(0, f"trainer eval {run} eval.calibrate=temperature")
    return [*closing.following(parts, directory, found), *later]


def _called(name: str) -> str:
    return shortened(name, LETTERS)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.5g}" for value in values)
