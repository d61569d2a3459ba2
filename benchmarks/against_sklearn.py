"""trainer's defaults on tables beside scikit-learn's linear model and its boosted trees, in the same splits.

    python -m benchmarks.against_sklearn FOLDER --targets LIST [--made] [--seeds 3] [-- KEY=VALUE ...]

A line of LIST has the name of a file in FOLDER, a tab, the target, and perhaps, each after another tab, further words
for the command line. With `--made`, scikit-learn's bundled and generated sets come first. Each table is trained by one
command with nothing but its path, its target and a seed, which also draws the split. The others are fitted to the same
rows, those that train and those that validate, in the columns that trainer has made of them: standardised numbers, with
the median for what is missing, and a column per category. The figure is accuracy, or R², on the same test rows.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.cli.main import main as command
from trainer.config.check import check
from trainer.config.composition import compose, ready
from trainer.data.loading import load_dataset

QUIET = ("plots=false", "tensorboard.enabled=false")
TIE = 1e-9


@dataclass(frozen=True)
class Task:
    """A table and the words that say what is to be learnt of it."""

    name: str
    words: tuple[str, ...]


def listed(folder: Path, targets: Path) -> Iterator[Task]:
    """The tables of a list."""
    for line in targets.read_text(encoding="utf-8").splitlines():
        if line.strip():
            file, target, *more = line.split("\t")
            yield Task(file, (f"data.path={folder / file}", f"data.target={target}", *more))


def made(folder: Path) -> Iterator[Task]:
    """scikit-learn's bundled and generated sets, written as tables."""
    load, pick = {"return_X_y": True}, {"random_state": 0}
    sets = {
        "iris": datasets.load_iris(**load),
        "wine": datasets.load_wine(**load),
        "breast_cancer": datasets.load_breast_cancer(**load),
        "diabetes": datasets.load_diabetes(**load),
        "linear_100x20": datasets.make_regression(100, 20, n_informative=5, noise=20, **pick),
        "friedman1": datasets.make_friedman1(400, noise=1, **pick),
        "friedman2": datasets.make_friedman2(400, noise=50, **pick),
        "sparse_uncorrelated": datasets.make_sparse_uncorrelated(200, **pick),
        "moons": datasets.make_moons(300, noise=0.25, **pick),
        "circles": datasets.make_circles(300, noise=0.15, factor=0.5, **pick),
        "classification": datasets.make_classification(500, 20, n_informative=5, **pick),
        "gaussian_quantiles": datasets.make_gaussian_quantiles(n_samples=600, n_features=6, n_classes=3, **pick),
    }
    for name, (inputs, targets) in sets.items():
        path = folder / f"{name}.csv"
        classes = targets.dtype.kind == "i"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{n}" for n in range(inputs.shape[1])), "y"])
            writer.writerows([*row, f"c{y}" if classes else y] for row, y in zip(inputs, targets, strict=True))
        yield Task(name, (f"data.path={path}", "data.target=y"))


def trained(words: Sequence[str], output: Path) -> dict[str, float]:
    """The test metrics of `trainer train` with these words."""
    said, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        code = command(["train", *words, *QUIET, f"output={output}"])
    if code:
        raise RuntimeError(wrong.getvalue())
    newest = max(output.rglob("result.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text())["metrics"]


def fitted(words: Sequence[str]) -> tuple[float, float]:
    """The same figure of scikit-learn's linear model and of its boosted trees."""
    from trainer.cli import arguments

    given = arguments.read("train", [*words])
    with ready():
        loaded = load_dataset(check("train", *_typed(compose("train", given.prepared()), given.words)))
    splits = [split for split in (loaded.train, loaded.val) if split is not None]
    inputs = np.concatenate([split.inputs.numpy() for split in splits])
    targets = np.concatenate([split.targets.numpy() for split in splits])
    if loaded.classes is not None:
        models = LogisticRegression(max_iter=5000), HistGradientBoostingClassifier(random_state=0)
    else:
        targets, models = targets[:, 0], (Ridge(), HistGradientBoostingRegressor(random_state=0))
    tested, right = loaded.test.inputs.numpy(), loaded.test.targets.numpy()
    right = right if loaded.classes is not None else right[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear, boosted = (make_pipeline(StandardScaler(), model).fit(inputs, targets) for model in models)
        return float(linear.score(tested, right)), float(boosted.score(tested, right))


def _typed(composed: tuple, words: list[str]) -> tuple:
    return composed[0], words, composed[1]


def main() -> None:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, more = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--targets", type=Path)
    parser.add_argument("--made", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(own)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        tasks = [
            *(made(place) if asked.made else ()),
            *(listed(asked.folder.resolve(), asked.targets) if asked.folder else ()),
        ]
        os.chdir(place)
        print("| table | figure | trainer | linear | boosted |", "|---|---|---:|---:|---:|", sep="\n")
        wins = []
        for number, task in enumerate(tasks):
            rows = []
            for seed in range(asked.seeds):
                words = ("model=mlp", "data=table", *task.words, f"seed={seed}", f"data.split_seed={seed}", *more)
                try:
                    metrics = trained(words, place / str(number) / str(seed))
                except RuntimeError as error:
                    print(f"| {task.name} | {str(error).strip().splitlines()[0]} | | | |", flush=True)
                    break
                figure = "accuracy" if "test/accuracy" in metrics else "r2"
                rows.append((metrics[f"test/{figure}"], *fitted(words)))
            else:
                ours, linear, boosted = (mean(column) for column in zip(*rows, strict=True))
                wins.append(
                    (ours >= linear - TIE, ours >= boosted - TIE, figure == "r2" and min(r[0] for r in rows) < 0)
                )
                print(f"| {task.name} | {figure} | {ours:.4f} | {linear:.4f} | {boosted:.4f} |", flush=True)
        linear, boosted, below = (sum(column) for column in zip(*wins, strict=True))
        print(f"\nat least as good as linear on {linear} of {len(wins)}, as boosted on {boosted}; R² below 0: {below}")


if __name__ == "__main__":
    main()
