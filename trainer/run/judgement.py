"""What a run comes to in one line, where that is sure: each rule is a function that says nothing otherwise.

The limits were set by what many real runs look like; docs/screen.md explains each line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from trainer.engine import hardest
from trainer.engine.metrics import Evaluation
from trainer.show.values import span
from trainer.system.errors import listed
from trainer.system.shown import shortened

Rows = Sequence[Mapping[str, Any]]
Intervals = Mapping[str, Sequence[float]]
FEWEST = 100  # test samples from which on an interval is narrow enough to speak of chance
WINDOW = 3  # evaluations whose median stands for what a curve has come to
RISE = 1.25  # of a validation loss, from its best to its end, that is more than noise
GROWTH = 2.0  # of a training loss, from its lowest to its end
FALL = 0.05  # of a validation loss over the last evaluations, after which it goes on falling
ENDED = 0.1  # of the highest learning rate: at less the schedule has brought the training to its end
RARE = 0.5  # of the mean size of a class: below it a class is passed over because it is small
_NAMES = 3  # of classes that are listed
_LETTERS = 24
_MORE = "more epochs, or a larger optim.lr, may help"
_LESS = "try a smaller optim.lr, or clip_norm=1"


@dataclass(frozen=True)
class Judgement:
    """What to put into the title, what to say, and whether the run is of no use or only less good than it might be."""

    title: str
    text: str
    grave: bool = False
    longer: bool = False  # whether it should be resumed for longer

    @property
    def style(self) -> str:
        """The colour of what says it."""
        return "red" if self.grave else "yellow"


@dataclass(frozen=True)
class Ended:
    """A training that is over: its rows, which epoch was best, and why it stopped before its length."""

    rows: Rows
    best_epoch: int | None = None
    stopped: str = ""


def judged(ended: Ended, test: Evaluation, intervals: Intervals, names: Sequence[str] | None) -> Judgement | None:
    """The gravest that can be said of a training and its `test`, or None; `intervals` are those of the test."""
    found = diverging(ended.rows) or of_test(test, intervals, names)
    losses = [row["train/loss"] for row in ended.rows if "train/loss" in row]
    if found is not None and not ended.stopped and falling(losses):
        return replace(found, text=f"{found.text}; the training loss was still falling: {_MORE}", longer=True)
    return found or overfitting(ended) or improving(ended)


def of_test(test: Evaluation, intervals: Intervals, names: Sequence[str] | None) -> Judgement | None:
    """What can be said of an evaluation alone."""
    return useless(test, intervals) or never_predicted(test, names or ())


def diverging(rows: Rows) -> Judgement | None:
    """The training loss has grown far above what it was, or is no number."""
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    if losses and not abs(losses[-1]) < float("inf"):
        return Judgement("diverged", f"the training loss is {losses[-1]}: {_LESS}", grave=True)
    if len(losses) < WINDOW + 1:
        return None
    lowest, last = min(losses), median(losses[-WINDOW:])
    grown = last > GROWTH * lowest and last - lowest > 0.1 * abs(losses[0]) and min(losses[-WINDOW:]) > lowest
    if not grown or lowest < 0:  # a loss below 0 has no such scale
        return None
    epoch = next(row["epoch"] for row in rows if row.get("train/loss") == lowest)
    text = f"the training loss has grown from {lowest:.3g} in epoch {epoch} to {last:.3g}: {_LESS}"
    return Judgement("diverging", text, grave=True)


def useless(test: Evaluation, intervals: Intervals) -> Judgement | None:
    """A constant answer does as well on the test split: the mean of the targets, or the largest class."""
    if (r2 := test.metrics.get("r2", 0.0)) < 0:
        text = f"the test R² is {r2:.3g}, below 0: the mean of the targets does better"
        return Judgement("below the mean", text, grave=True)
    total = sum(test.counts)
    share = max(test.counts, default=0) / max(1, total)
    if not total or share == 1:
        return None
    accuracy = test.metrics["accuracy"]
    chance = 1 / sum(count > 0 for count in test.counts)
    low = intervals.get("test/accuracy", (accuracy,))[0]
    balanced = intervals.get("test/balanced_accuracy", (test.further["balanced_accuracy"],))[0]
    if accuracy > share and (low > share or total < FEWEST or balanced > chance):
        return None
    if balanced > chance:  # it knows something of the small classes, for which it pays with the largest
        text = (
            f"the test accuracy, {accuracy:.1%}, is not above the share of the largest class, {share:.1%}: "
            "look at the balanced accuracy; loss.class_weight=balanced may help"
        )
        return Judgement("no better than one class", text)
    spans = intervals.get("test/accuracy")
    between = f" ({span('accuracy', spans)})" if spans is not None else ""
    beside = "cannot be told from" if accuracy > share else "is not above"
    text = (
        f"the test accuracy, {accuracy:.1%}{between}, {beside} the share of the largest class, {share:.1%}: "
        "a constant answer does as well"
    )
    return Judgement("at chance", text, grave=True)


def never_predicted(test: Evaluation, names: Sequence[str]) -> Judgement | None:
    """There are classes that the model never tells."""
    never = hardest.never_guessed(test)
    if not never or not names:
        return None
    said = [shortened(names[number], _LETTERS) for number in never[:_NAMES]]
    more = f" and {len(never) - _NAMES:,} more" if len(never) > _NAMES else ""
    what = "a class is" if len(never) == 1 else f"{len(never):,} of {len(test.counts):,} classes are"
    rare = max(test.counts[number] for number in never) < RARE * sum(test.counts) / len(test.counts)
    what_helps = "loss.class_weight=balanced may help" if rare else "it has not learnt to tell them yet"
    text = f"{what} never predicted: {listed(said)}{more}; {what_helps}"
    return Judgement(f"{what} never predicted", text)


def overfitting(ended: Ended) -> Judgement | None:
    """The best epoch is long over, and since then the validation loss has risen while the training loss fell.

    Where early stopping has ended the training, there is nothing to say: that is what it is for.
    """
    rows = [row for row in ended.rows if "val/loss" in row and "train/loss" in row]
    if ended.best_epoch is None or len(rows) < 2 * WINDOW + 2 or ended.stopped.startswith("no improvement"):
        return None
    losses = [row["val/loss"] for row in rows]
    lowest, last = min(losses), median(losses[-WINDOW:])
    place = losses.index(lowest)
    since = losses[place + 1 :]
    if 2 * ended.best_epoch > rows[-1]["epoch"] or len(since) < len(losses) // 2 or len(since) < 2 * WINDOW:
        return None
    rising = fmean(since[len(since) // 2 :]) > fmean(since[: len(since) // 2]) and last > RISE * lowest > 0
    fell = median(row["train/loss"] for row in rows[-WINDOW:]) < 0.9 * rows[place]["train/loss"]
    if not (rising and fell):
        return None
    text = (
        f"since epoch {rows[place]['epoch']} of {rows[-1]['epoch']} the validation loss has risen from {lowest:.3g} to "
        f"{last:.3g} while the training loss fell: early_stopping.patience=5 saves the time, and more data, "
        "augmentation, dropout or weight decay may help"
    )
    return Judgement("over-fitted", text)


def improving(ended: Ended) -> Judgement | None:
    """The last epoch is the best, the last evaluations each were better, and the schedule has not come to its end."""
    rows = [row for row in ended.rows if "val/loss" in row]
    if ended.best_epoch is None or len(rows) < WINDOW or ended.best_epoch < rows[-1]["epoch"] or ended.stopped:
        return None
    losses = [row["val/loss"] for row in rows]
    if not falling(losses) or rows[-1]["lr"] < ENDED * max(row["lr"] for row in rows):
        return None
    tail = _tail(losses)
    text = (
        f"epoch {ended.best_epoch}, the last, is the best, and the validation loss fell from {tail[0]:.3g} to "
        f"{tail[-1]:.3g} in the last {len(tail)} evaluations: more epochs may help"
    )
    return Judgement("still improving", text, longer=True)


def falling(losses: Sequence[float]) -> bool:
    """Whether a curve ends at its lowest, after a fifth of it in which it fell steadily and by more than noise."""
    if len(losses) < WINDOW:
        return False
    tail = _tail(losses)
    falls = [after < before for before, after in pairwise(tail)]
    return sum(falls) >= 0.8 * len(falls) and tail[-1] == min(losses) and tail[0] - tail[-1] >= FALL * abs(tail[0])


def _tail(losses: Sequence[float]) -> Sequence[float]:
    return losses[-max(WINDOW, len(losses) // 5) :]
