"""A column, or a pixel, that gives the target away: known by itself what all others together do not tell."""

from collections.abc import Iterator

import numpy as np

from trainer.preflight import guessing
from trainer.preflight.finding import Finding
from trainer.preflight.samples import small
from trainer.preflight.subject import Subject
from trainer.system.shown import counted

ABOUT = "columns that give the target away"
ERROR = 0.02  # of a model of one column: at most so much, where ...
WITHOUT = 0.05  # ... the others together make at least this error
FEWEST = 50  # samples
COLUMNS = 50  # that are looked at one by one; of more, those that go with the target most
SIDE, CLASSES = 32, 100  # images are scaled down to so many pixels a side; of so many classes at most
TARGETS = 3  # quantities of several that are looked at
Columns = list[tuple[str, list[int]]]  # names, and the numbers of their features


def look(subject: Subject) -> Iterator[Finding]:
    """Compare what a tree says of the targets by one column with what a forest says by all others."""
    data, columns = subject.data, subject.columns
    if len(subject.few) < FEWEST:
        return
    if data.is_image:
        yield from _of_images(subject)
        return
    if len(columns) < 3:
        return
    targets = subject.rows.targets
    wanted = [targets] if data.classes is not None else np.split(targets, targets.shape[1], axis=1)[:TARGETS]
    findings = [finding for target in wanted for finding in _of_columns(subject, columns, target)]
    yield from findings
    if not findings:
        yield Finding("leaks", f"none of {counted(len(columns), 'column')} tells the target by itself")


def _of_columns(subject: Subject, columns: Columns, target: np.ndarray) -> Iterator[Finding]:
    rows, classes = subject.rows.rows, subject.data.classes is not None
    for name, places in _likely(columns, rows, target, classes):
        error = guessing.error_of_one(rows[:, places], target, classes)
        if error > ERROR:
            continue
        without = guessing.error_of_all(np.delete(rows, places, axis=1), target, classes)
        if without >= WITHOUT:
            told = f"'{name}' alone: error {error:.1%}; all other columns together: {without:.1%}"
            advice = f"if it is not known beforehand: {subject.dropping([name])}"
            yield Finding("leaks", told, advice, wrong=True)


def _likely(columns: Columns, rows: np.ndarray, target: np.ndarray, classes: bool) -> Columns:
    """The columns that go with the target most, by their correlation with it or with a class."""
    if len(columns) <= COLUMNS:
        return columns
    wanted = np.eye(int(target.max()) + 1)[target] if classes else target
    strength = np.abs(_standard(rows).T @ _standard(wanted)).max(1)
    return sorted(columns, key=lambda column: -float(strength[column[1]].max()))[:COLUMNS]


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std(0)
    found: np.ndarray = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    return found


def _of_images(subject: Subject) -> Iterator[Finding]:
    """A mark on the images: a pixel whose value tells the class, where most pixels do not."""
    if subject.data.classes is None or len(subject.data.classes) > CLASSES:
        return
    images = small(subject.few.inputs, SIDE).double().numpy()
    scale = subject.few.shape[1] / images.shape[2]
    errors = guessing.errors_of_each(images.reshape(len(images), -1), subject.few.targets.numpy())
    best, usual = int(errors.argmin()), float(np.quantile(errors, 0.1))
    if errors[best] > ERROR or usual < WITHOUT:
        yield Finding("leaks", f"no pixel tells the class by itself: error {errors[best]:.1%} of the best")
        return
    _, row, column = np.unravel_index(best, images.shape[1:])
    where = f"the pixel in row {int(row * scale) + 1}, column {int(column * scale) + 1}"
    told = f"{where} alone: error {errors[best]:.1%}; nine in ten pixels: {usual:.1%} or more"
    yield Finding("leaks", told, "a mark on the images tells the class: cut it off, or paint it over", wrong=True)
