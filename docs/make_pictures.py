"""Draw the examples of the pages with the program itself:  python docs/make_pictures.py"""

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

import trainer
from trainer.cli.main import main

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
# The same of each sweep.
SWEEPS = {
    ("optim.lr=0.0003,0.001,0.003,0.01,0.03,0.1", "model=linear,mlp", "seed=0,1,2", "epochs=5"): (
        *("optim.lr", "optim.lr-model"),
    ),
    (
        *("search=optuna", "search.trials=40", "model=mlp", "optim=sgd", "epochs=5", "optim.momentum=interval(0,0.99)"),
        *("optim.lr=tag(log,interval(1e-4,1))", "model.hidden=int(tag(log,interval(4,128)))"),
    ): ("history", "importance", "parallel"),
}
PROFILE = ("scheduler=cosine", "data.augment.shift=1", "data.batch_size=32")
COLOURS = 128  # of a picture in the documentation, which is half as large for it


def draw() -> None:
    """Train each, and keep its pictures."""
    FOLDER.mkdir(exist_ok=True)
    for overrides, pictures in RUNS.items():
        run = trainer.train(*overrides, "name=example", "tensorboard.enabled=false")
        for picture in pictures:
            keep(run.path / f"{picture}.png", Path(picture).name)
    for words, pictures in SWEEPS.items():
        assert main(["train", "-m", *words, "data.limit=400", "tensorboard.enabled=false", "name=example"]) == 0
        newest = max(Path("runs/sweeps/example").iterdir())
        for picture in pictures:
            keep(newest / "plots" / f"{picture}.png", f"sweep-{picture}")
    assert main(["profile", *PROFILE, "profile.out=profile"]) == 0
    keep(Path("profile/profile.png"), "profile")


def keep(drawn: Path, name: str) -> None:
    """Make a picture an example."""
    with Image.open(drawn) as image:
        small = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    here = os.getcwd()
    elsewhere = tempfile.mkdtemp()
    os.chdir(elsewhere)
    try:
        draw()
    finally:
        os.chdir(here)
        shutil.rmtree(elsewhere)
