"""Images that are three times as large as the memory that a training may take: samples per second, and its peak.

    python -m benchmarks.larger --folder FOLDER         3 GB of images in FOLDER, which stay there; 1 GB of memory
    python -m benchmarks.larger --folder FOLDER --gigabytes 6 --times 3 --model cifar_lenet --steps 2000

The images (3x32x32) lie in a file of the cache, sorted by class. In each round a training of one epoch has all memory,
so that it maps the file, which is in the page cache; then another has a third of the file, in a control group that
counts the page cache as well, and finds nothing of the file there: it reads in windows, from the disk.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import limited

MODULE = """
import numpy as np
from trainer.data.cache import stored
from trainer.data.cache_entry import Declared
from trainer.data.splits import Dataset

SHAPE = (32, 32, 3)


def load(count, cache):
    def make(allocate):
        rng = np.random.default_rng(0)
        for name, number in (("train", count), ("test", 2000)):
            targets = allocate(f"{name}-targets", (number,), "int64")
            targets[:] = np.arange(number) * 10 // number
            images = allocate(name, (number, *SHAPE), "uint8")
            for at in range(0, number, 10_000):
                some = targets[at : at + 10_000, None, None, None]
                images[at : at + 10_000] = rng.integers(0, 150, (len(some), *SHAPE), np.uint8) + 10 * some
            allocate.alive()
        return {}

    declared = Declared({name: (number, *SHAPE) for name, number in (("train", count), ("test", 2000))}, 10)
    found = stored(cache, "larger", {"count": count}, "", make, declared)
    train, test, classes = found.split("train"), found.split("test"), tuple("0123456789")
    return Dataset("larger", train, test, None, classes, (0.5,) * 3, (0.25,) * 3, cache=found.note)
"""
KEYS = "_target_: larger_images.load\ncount: 1000\ncache: cache\nval_fraction: 0\nbatch_size: 256\n"
SILENT = ("plots=false", "tables=false", "tensorboard.enabled=false", "checkpoint.every_minutes=null")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--times", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="linear")
    parser.add_argument("--steps", type=int, help="of an epoch at most")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.folder)
    Path("configs/data").mkdir(parents=True, exist_ok=True)
    Path("configs/data/larger.yaml").write_text(KEYS)
    Path("larger_images.py").write_text(MODULE)
    count, limit = int(asked.gigabytes * 1e9) // 3072, int(asked.gigabytes * 1e9 / asked.times)
    words = ["-m", "trainer", "train", "data=larger", f"data.count={count}", f"model={asked.model}", "optim=sgd"]
    words += ["epochs=1", "device=cpu", *SILENT]
    train(words, None, "max_steps=1")  # makes the file
    (file,) = Path("cache").glob("*/train.npy")
    print(f"{count:,} images, {file.stat().st_size / 1e9:.2f} GB; memory {limit / 1e9:.2f} GB; model {asked.model}")
    more = [f"max_steps={asked.steps}"] if asked.steps else []
    ratios = []
    for number in range(asked.rounds):
        if number == 0:
            shutil.copyfile(file, os.devnull)  # into the page cache
        free, _ = train(words, None, *more)
        limited.forget(file)
        narrow, peak = train(words, limit, *more)
        shutil.copyfile(file, os.devnull)
        ratios.append(narrow / free)
        took = f"{peak.anonymous / 1e6:.0f} MB of its own, {peak.charged / 1e6:.0f} MB with the page cache"
        print(f"{free:,.0f} samples/s from memory, {narrow:,.0f} in windows, ratio {ratios[-1]:.3f}; at most {took}")
    print(f"ratio {median(ratios):.3f}")
    print(
        *(line for line in Path("run.log").read_text().splitlines() if line.startswith(("  data", "  order"))), sep="\n"
    )


def train(words: Sequence[str], limit: int | None, *more: str) -> tuple[float, limited.Peak]:
    """Samples per second of the epoch, without evaluation and start; and the memory that the training took."""
    shutil.rmtree("runs", ignore_errors=True)
    peak = limited.run([*words, *more], limit, Path("run.log"))
    (log,) = Path("runs").rglob("metrics.jsonl")
    return float(json.loads(log.read_text().splitlines()[-1])["samples_per_second"]), peak


if __name__ == "__main__":
    sys.exit(main())
