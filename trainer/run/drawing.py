"""The pictures of a run, in its plots/."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from trainer.engine.evaluator import Evaluator
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.engine.state import Row, State
from trainer.show.report import Report
from trainer.system import atomic
from trainer.system.inside import unlinked

if TYPE_CHECKING:
    from trainer.run.hooks.tensorboard import TensorBoard


def draw(
    directory: Path,
    rows: list[Row],
    evaluator: Evaluator,
    test: Evaluation,
    state: State,
    board: "TensorBoard | None",
    screen: Report,
) -> None:
    """Draw the pictures that a training ends with, from its `rows` and its `test`; TensorBoard gets them as well.

    Raises:
        StorageError: One cannot be written.
    """
    if not _can_draw(screen):
        return
    from trainer.show import pictures

    for name, pixels in pictures.after_training(rows, evaluator, test):
        save(directory / "plots" / f"{name}.png", pixels)
        if board is not None:
            board.image(name, pixels, state)
    if test.counts and test.confusion is None:
        screen.say(f"  no picture of the confusion: {len(test.counts):,} classes are too many", style="dim")


def of_outcome(folder: Path, outcome: Outcome, screen: Report) -> list[str]:
    """Draw the pictures of an outcome into a folder; the names of their files.

    Raises:
        StorageError: One cannot be written.
    """
    if not _can_draw(screen):
        return []
    from trainer.show import figures, plots

    drawn = []
    for name, figure in figures.of(outcome, outcome.calibration.threshold):
        save(folder / f"{name}.png", plots.render(figure))
        drawn.append(f"{name}.png")
    return drawn


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
