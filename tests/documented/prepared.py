"""What pages speak of: folders of images, tables, files of weights, and runs called RUN or SWEEP."""

import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np
from formats import write_mnist
from PIL import Image

# Runs by name, each made by a command where `files` lie; what trains for long is interrupted.
PHOTOS = "train model=lenet data=folder data.path=photos data.size=28 data.val_fraction=0.25 epochs=2"
HOUSES = "model=mlp data=table data.path=houses.csv"
RUNS = {
    "photos": PHOTOS,
    "photos2": f"{PHOTOS} seed=1",
    "mnist": "train model=lenet data=mnist epochs=2",
    "digits": "train model=lenet data=digits epochs=4",
    "digits2": "train model=lenet data=digits epochs=4 seed=1 optim.lr=0.002",
    "table": f"train {HOUSES} data.target=price epochs=3",
    "regions": f"train {HOUSES} data.target=garden data.val_fraction=0.2 epochs=3",
    "interrupted": "train model=lenet data=mnist epochs=15",
    "sweep": f"train -m {HOUSES} data.target=price optim.lr=0.001,0.01 seed=0,1 epochs=2",
    "folds": "train -m model=mlp data=folder data.path=photos data.size=16 data.folds=5 data.fold=range(5) epochs=2",
    "search": "train -m search=optuna search.trials=3 search.startup=2 data=digits optim=sgd epochs=1 "
    "optim.lr=tag(log,interval(1e-4,1))",
}
# What a name stands for where a page does not say.
MEANT = {"RUN": "photos", "RUN2": "photos2", "A": "digits", "B": "digits2", "SWEEP": "sweep"}
# The directories that pages write out in full.
PLACES = {
    "runs/lenet_mnist/2026-01-31_12-00-00": "mnist",
    "runs/lenet_digits/2026-01-31_12-00-00": "digits",
    "runs/sweeps/sweep/2026-01-31_12-00-00": "sweep",
}

NETWORK = """from torch import nn


class Net(nn.Sequential):
    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(in_features, 32), nn.ReLU(), nn.Linear(32, num_classes))
"""
NETWORK_CONFIG = """# My network.
_target_: mynet.Net
in_features: ${data.features}
num_classes: ${data.num_classes}
"""


def files(folder: Path) -> None:
    """Everything but runs."""
    rng = np.random.default_rng(0)
    _classes(folder / "photos", ("cat", "dog"), 12, rng)
    _classes(folder / "other", ("bird", "cat", "dog"), 6, rng)
    for part, count in (("train", 40), ("test", 2)):
        names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
        _classes(folder / "cifar10-images" / part, names, count, rng, (32, 32))
    for name, original in (("photo.jpg", "cat/0.jpg"), ("a.jpg", "dog/1.jpg"), ("b.jpg", "cat/2.jpg")):
        shutil.copy(folder / "photos" / original, folder / name)
    Image.fromarray(rng.integers(256, size=(28, 28)).astype(np.uint8)).save(folder / "seven.png")
    listed = sorted((str(path.relative_to(folder)), path.parent.name) for path in (folder / "photos").glob("*/*"))
    _table(folder / "labels.csv", ["filename", "breed"], listed)
    _houses(folder, rng)
    beer = [
        (f"2015-01-{day:02d}", f"{20 + day % 9},5", day % 7 > 4, f"{25 + day % 9},{day % 10}") for day in range(1, 31)
    ] * 3
    beer = [(day, warm, int(free), drunk) for day, warm, free, drunk in beer]
    _table(folder / "beer.csv", ["Data", "Temperatura", "Final de Semana", "Consumo de cerveja (litros)"], beer)
    for path in ("my_configs/model/mine.yaml", "configs/model/mynet.yaml"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(NETWORK_CONFIG, encoding="utf-8")
    (folder / "mynet.py").write_text(NETWORK, encoding="utf-8")


def home(folder: Path) -> None:
    """The data of a home directory: MNIST of noise."""
    for name in ("MNIST", "FashionMNIST"):
        write_mnist(folder / "data" / name, 1280, 100)


def runs(folder: Path, variables: dict[str, str], names: set[str]) -> None:
    """The runs that are asked for, below `folder/made/NAME`, from the files that lie in `folder`."""
    for name in sorted(names):
        words = [*RUNS[name].split(), f"output=out/{name}"]
        if name == "interrupted":
            _interrupted(words, folder, variables)
        else:
            ran = subprocess.run(
                ["trainer", *words],
                cwd=folder,
                env=variables | {"DOCUMENTED_IN_FULL": "1"},
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert ran.returncode == 0, f"{name}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
        made = next((folder / "out" / name).glob("sweeps/*/2*" if "-m" in words else "*/2*"))
        made.rename(folder / "made" / name)


def _interrupted(words: list[str], folder: Path, variables: dict[str, str]) -> None:
    """A training that is told to stop as soon as it has trained for an epoch."""
    import signal
    import time

    with open(folder / "interrupted.txt", "wb") as screen:
        process = subprocess.Popen(
            ["trainer", *words], cwd=folder, env=variables | {"DOCUMENTED_IN_FULL": "1"}, stdout=screen, stderr=screen
        )
    due = time.monotonic() + 120
    while not any(path.stat().st_size for path in (folder / "out" / "interrupted").glob("*/*/metrics.jsonl")):
        assert time.monotonic() < due, (folder / "interrupted.txt").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, (folder / "interrupted.txt").read_text()


def _classes(
    folder: Path, names: tuple[str, ...], count: int, rng: np.random.Generator, shape: tuple[int, int] = (40, 48)
) -> None:
    """Folders of images: noise, brighter for each class."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(40, size=(*shape, 3)) + 200 * place // len(names)
            kind = "png" if number == 5 else "jpg"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.{kind}")


def _houses(folder: Path, rng: np.random.Generator) -> None:
    """Tables of houses: `houses.csv`, the same as `homes.csv`, `others.csv`, and `new.csv` without what they cost."""

    def rows(count: int) -> list[tuple[object, ...]]:
        size, year = rng.integers(50, 250, count), rng.integers(1900, 2020, count)
        place = rng.choice(["north", "south", "centre"], count)
        price = (2000 * size + 500 * (year - 1900) + rng.normal(0, 9000, count)).astype(int)
        return list(zip(size, year, place, np.where(size > 150, "yes", "no"), price, strict=True))

    names = ["size", "year", "place", "garden", "price"]
    _table(folder / "houses.csv", names, rows(160))
    shutil.copy(folder / "houses.csv", folder / "homes.csv")
    _table(folder / "others.csv", names, rows(40))
    _table(folder / "new.csv", names[:-1], [row[:-1] for row in rows(8)])


def _table(path: Path, names: list[str], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
