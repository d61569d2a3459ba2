"""The pictures of a run, in its plots/."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from trainer.engine.evaluator import Evaluator
from trainer.engine.metrics import Evaluation
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
    try:
        import matplotlib.figure  # noqa: F401  # late: it would delay the first step
    except OSError as error:  # it wants a folder of its own
        screen.warn(f"no pictures: {error}")
        return
    from trainer.show import pictures

    for name, pixels in pictures.after_training(rows, evaluator, test):
        save(directory, name, pixels)
        if board is not None:
            board.image(name, pixels, state)
    if test.counts and test.confusion is None:
        screen.say(f"  no picture of the confusion: {len(test.counts):,} classes are too many", style="dim")


def save(directory: Path, name: str, pixels: Any) -> None:
    """Write plots/NAME.png.

    Raises:
        StorageError: It cannot be written.
    """
    path = directory / "plots" / f"{name}.png"
    with atomic.storing(path), open(path, "wb", opener=unlinked) as file:
        Image.fromarray(pixels).save(file, "png")
