"""per_class.csv: how a model does on each class."""

from collections.abc import Sequence

import polars as pl

from trainer.engine import ranking
from trainer.engine.outcome import Outcome
from trainer.run.outcome import table


def frame(outcome: Outcome) -> pl.DataFrame:
    """A row per class: its samples, how many were taken for it and how many of these rightly, and what that comes to.

    As in scikit-learn; a cell is empty where a figure is not defined. `auc` and `average_precision` are those of the
    class against all others; they are left out of more scores than `ranking.LARGEST`.
    """
    assert outcome.classes is not None
    found = outcome.evaluation
    each = [*zip(found.right, found.guessed, found.counts, strict=True)]
    ranked = _ranked(outcome)
    columns = {
        "class": table.texts(outcome.classes),
        "samples": pl.Series(found.counts),
        "guessed": pl.Series(found.guessed),
        "right": pl.Series(found.right),
        "precision": _shares([(right, guessed) for right, guessed, _ in each]),
        "recall": _shares([(right, count) for right, _, count in each]),
        "f1": _shares([(2 * right, guessed + count) for right, guessed, count in each]),
        "average_precision": pl.Series([precision for _, precision in ranked], dtype=pl.Float64),
        "auc": pl.Series([area for area, _ in ranked], dtype=pl.Float64),
    }
    return pl.DataFrame(columns)


def _shares(each: Sequence[tuple[int, int]]) -> pl.Series:
    return pl.Series([part / whole if whole else None for part, whole in each], dtype=pl.Float64)


def _ranked(outcome: Outcome) -> list[tuple[float | None, float | None]]:
    """AUC and average precision of each class."""
    undefined = (None, None)
    if outcome.outputs.numel() > ranking.LARGEST:
        return [undefined] * outcome.outputs.shape[1]
    if outcome.outputs.shape[1] == 2:
        first = outcome.outputs[:, 0] - outcome.outputs[:, 1]
        scores = [first, -first]
    else:
        scores = [*outcome.calibration.scaled(outcome.outputs).log_softmax(1).T]
    found: list[tuple[float | None, float | None]] = []
    for number, (score, count) in enumerate(zip(scores, outcome.evaluation.counts, strict=True)):
        if not 0 < count < len(outcome) or bool(score.isnan().any()):
            found.append(undefined)
            continue
        ranked = ranking.ranked(score, outcome.targets == number)
        found.append((ranked.auc, ranked.average_precision))
    return found
