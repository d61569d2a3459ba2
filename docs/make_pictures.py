"""Draw the examples of docs/pictures.md with the program itself:  python docs/make_pictures.py"""

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

import trainer

FOLDER = Path(__file__).with_name("pictures")
# Each training, and the pictures of it that are examples.
RUNS = {
    ("scheduler=cosine", "scheduler.warmup_steps=60", "epochs=30"): (
        *("plots/curves", "plots/samples", "plots/filters"),
        *("test/confusion", "test/predictions", "test/reliability", "test/roc"),
    ),
    ("model=mlp", "data=diabetes", "epochs=30"): ("test/residuals",),
    ("model=linear", "data=line", "optim=sgd", "optim.lr=0.1", "epochs=50"): ("plots/fit",),
}
COLOURS = 128  # of a picture in the documentation, which is half as large for it


def draw() -> None:
    """Train each, and keep its pictures."""
    FOLDER.mkdir(exist_ok=True)
    for overrides, pictures in RUNS.items():
        run = trainer.train(*overrides, "name=example", "tensorboard.enabled=false")
        for picture in pictures:
            with Image.open(run.path / f"{picture}.png") as image:
                small = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            small.save(FOLDER / f"{Path(picture).name}.png", optimize=True)


if __name__ == "__main__":
    here = os.getcwd()
    elsewhere = tempfile.mkdtemp()
    os.chdir(elsewhere)
    try:
        draw()
    finally:
        os.chdir(here)
        shutil.rmtree(elsewhere)
