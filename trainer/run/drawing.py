"""The pictures of a run, in its plots/."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from trainer.engine.outcome import Outcome
from trainer.show.report import Report
from trainer.show.trained import Trained
from trainer.system import atomic
from trainer.system.garbage import uncollected
from trainer.system.inside import unlinked

LEVEL = 3  # of compression: a tenth larger than by default, and a third faster


def draw(directory: Path, trained: Trained, shown: Callable[[str, bytes], object], screen: Report) -> None:
    """Draw the pictures of a training itself; `shown` gets their names and files.

    Raises:
        StorageError: One cannot be written.
    """
    if not _can_draw(screen):
        return
    from trainer.show import pictures

    for name, pixels in pictures.after_training(trained):
        png = encoded(pixels)
        save(directory / "plots" / f"{name}.png", png)
        shown(name, png)
    if trained.test.counts and trained.test.confusion is None:
        screen.say(f"  no picture of the confusion: {len(trained.test.counts):,} classes are too many", style="dim")


def of_outcome(outcome: Outcome, of: str, screen: Report) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the file of each picture of an outcome, `of` data and a model that are called so."""
    if not _can_draw(screen):
        return
    from trainer.show import figures, rendering

    for name, figure in figures.of(outcome, of):
        yield name, encoded(rendering.render(figure))


def _can_draw(screen: Report) -> bool:
    try:
        with uncollected():
            import matplotlib.figure  # noqa: F401  # late: it would delay the first step
    except OSError as error:  # it wants a folder of its own
        screen.warn(f"no pictures: {error}")
        return False
    return True


def encoded(pixels: Any) -> bytes:
    """Pixels (height, width, 3) uint8 as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=LEVEL)
    return file.getvalue()


def save(path: Path, png: bytes) -> None:
    """Write a picture.

    Raises:
        StorageError: It cannot be written.
    """
    with atomic.storing(path), open(path, "wb", opener=unlinked) as file:
        file.write(png)
