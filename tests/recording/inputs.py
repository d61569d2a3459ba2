"""Small files that the commands read: a folder of images, tables, and some that are broken."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def make(folder: Path) -> None:
    """Write them; each call writes the same bytes."""
    folder.mkdir(parents=True)
    _images(folder / "images")
    _table(folder / "flowers.csv")
    (folder / "broken.csv").write_text("a,b,label\n1,2,x\n3,4\n5,six,y\n")
    (folder / "empty.csv").write_text("")
    (folder / "broken.pt").write_bytes(b"PK\x03\x04 and no more")
    (folder / "text.pt").write_text("no checkpoint\n")
    weights = {"linear.weight": torch.linspace(-1, 1, 640).reshape(10, 64), "linear.bias": torch.linspace(0, 1, 10)}
    torch.save(weights, folder / "bare.pth")


def _images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 4)):
        for label, level in (("dark", 80), ("light", 170)):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(rng.normal(level, 50, (40, 48, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")


def _table(path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["length,width,colour,kind"]
    for number in range(60):
        kind = ("rose", "lily", "iris")[number % 3]
        length, width = rng.normal(number % 3, 0.5, 2)
        lines.append(f"{length:.4f},{width:.4f},{('red', 'white')[number % 2]},{kind}")
    path.write_text("\n".join(lines) + "\n")
