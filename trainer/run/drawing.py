"""The pictures of a run, in its plots/."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from trainer.engine.evaluator import Evaluator
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.engine.state import Row
from trainer.show.report import Report
from trainer.system import atomic
from trainer.system.inside import unlinked


def draw(
    directory: Path,
    rows: list[Row],
    evaluator: Evaluator,
    test: Evaluation,
    shown: Callable[[str, Any], object],
    screen: Report,
) -> None:
    """Draw the pictures that a training ends with, from its `rows` and its `test`; `shown` gets their names and pixels.

    Raises:
        StorageError: One cannot be written.
    """
    if not _can_draw(screen):
        return
    from trainer.show import pictures

    for name, pixels in pictures.after_training(rows, evaluator):
        save(directory / "plots" / f"{name}.png", pixels)
        shown(name, pixels)
    if test.counts and test.confusion is None:
        screen.say(f"  no picture of the confusion: {len(test.counts):,} classes are too many", style="dim")


def of_outcome(outcome: Outcome, screen: Report) -> Iterator[tuple[str, Any]]:
    """Yield the name and the pixels of each picture of an outcome."""
    if not _can_draw(screen):
        return
    from trainer.show import figures, plots

    for name, figure in figures.of(outcome):
        yield name, plots.render(figure)


def _can_draw(screen: Report) -> bool:
    try:
        import matplotlib.figure  # noqa: F401  # late: it would delay the first step
    except OSError as error:  # it wants a folder of its own
        screen.warn(f"no pictures: {error}")
        return False
    return True


def save(path: Path, pixels: Any) -> None:
    """Write a picture.

    Raises:
        StorageError: It cannot be written.
    """
    with atomic.storing(path), open(path, "wb", opener=unlinked) as file:
        Image.fromarray(pixels).save(file, "png")
