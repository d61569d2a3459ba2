"""Folders of small images that the tests of folders, cache and streaming share."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, number: int = 0, size: tuple[int, int] = (10, 10), mode: str = "RGB") -> Path:
    """Smooth noise, so that resampling has something to do; the first pixel tells `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(256, size=(5, 5, 3)).astype(np.uint8))
    image = small.resize(size, Image.Resampling.BICUBIC)
    image.putpixel((0, 0), (number, number, number))
    image.convert(mode).save(path)
    return path


def tree(root: Path, counts: dict[str, int], first: int = 0) -> int:
    """`root/CLASS/*.png`, numbered on from `first`; the next number."""
    for name, count in counts.items():
        for _ in range(count):
            picture(root / name / f"{first:03}.png", first)
            first += 1
    return first
