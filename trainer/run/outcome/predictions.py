"""predictions.csv: what a model says of each sample, beside what is true; its mistakes first."""

import numpy as np
import polars as pl
import torch

from trainer.data.splits import Split
from trainer.engine.outcome import Outcome
from trainer.run.outcome import table

ALL = 100  # classes up to which each has a column with its probability
DIGITS = 6  # of a probability


def frame(outcome: Outcome) -> pl.DataFrame:
    """A row per sample: first those that are told wrong, the most confident mistake first, then the others in their
    order; in regression the largest error first.
    """
    found = _of_classes(outcome, outcome.classes) if outcome.classes is not None else _of_values(outcome)
    wrong = outcome.wrong
    rest = torch.ones(len(outcome), dtype=torch.bool)
    rest[wrong] = False
    return found[torch.cat([wrong, rest.nonzero()[:, 0]]).numpy()]


def _of_classes(outcome: Outcome, classes: tuple[str, ...]) -> pl.DataFrame:
    likely = outcome.probabilities
    columns = {
        "input": called(outcome.samples),
        "label": table.named(classes, outcome.targets),
        "predicted": table.named(classes, outcome.predicted),
        "probability": pl.Series(outcome.confidence.numpy()).round_sig_figs(DIGITS),
        "correct": pl.Series((outcome.predicted == outcome.targets).numpy()),
    }
    for number, name in enumerate(classes if len(classes) <= ALL else ()):
        columns[table.header(f"p({name})")] = pl.Series(likely[:, number].numpy()).round_sig_figs(DIGITS)
    return pl.DataFrame(columns)


def _of_values(outcome: Outcome) -> pl.DataFrame:
    targets, predicted = outcome.targets.numpy(), outcome.predicted.numpy()
    width = targets.shape[1]
    columns = {"input": called(outcome.samples)}
    for number in range(width):
        which = f"_{number + 1}" if width > 1 else ""
        columns[f"target{which}"] = pl.Series(targets[:, number])
        columns[f"predicted{which}"] = pl.Series(predicted[:, number])
        columns[f"error{which}"] = pl.Series(predicted[:, number] - targets[:, number].astype(np.float64))
    return pl.DataFrame(columns)


def called(samples: Split) -> pl.Series:
    """What each sample is called: its file, the number of its row, or its number."""
    rows = np.arange(len(samples)) if samples.rows is None else samples.rows.numpy()
    if samples.names is None:
        return pl.Series(rows)
    if isinstance(samples.names, np.ndarray):
        return pl.Series(samples.names[rows])
    found = [samples.names[place] for place in rows.tolist()]
    return pl.Series(found) if found and isinstance(found[0], int) else table.texts(found)
