"""Does a shuffle in windows cost accuracy? MNIST sorted by class, the worst case, against a shuffle of all samples.

    python -m benchmarks.sorted_windows --data ROOT                       LeNet, one epoch, three seeds
    python -m benchmarks.sorted_windows --data ROOT --windows 1.5,6 --seeds 5 --epochs 2

A window of 6 MB is an eighth of the 47 MB of training images: 92 stretches of 83 images, nearly all of one class each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from statistics import mean, pstdev

MODULE = """
from trainer.data.cache import stored
from trainer.data.cache_entry import Declared
from trainer.data.sets import mnist
from trainer.data.splits import Dataset


def load(root, cache):
    given = mnist.load(mnist.MNIST(root=root, cache=None), None)

    def make(allocate):
        for name in ("train", "test"):
            split = getattr(given, name)
            order = split.targets.argsort(stable=True)
            allocate(name, (len(order), 28, 28, 1), "uint8")[:] = split[order].permute(0, 2, 3, 1).numpy()
            allocate(f"{name}-targets", (len(order),), "int64")[:] = split.targets[order].numpy()
        return {}

    found = stored(cache, "sorted", {}, "", make, Declared({n: (None, 28, 28, 1) for n in ("train", "test")}, 10))
    return Dataset("sorted", found.split("train"), found.split("test"), None, given.classes, given.mean, given.std)
"""
SILENT = ("plots=false", "tables=false", "tensorboard.enabled=false", "device=cpu", "data.val_fraction=0")
PLACE = "data.placement=windows"  # as if memory were short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="the folder that MNIST lies in")
    parser.add_argument("--windows", default="1.5,6", help="MB, one after the other")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    asked = parser.parse_args()
    keys = f"_target_: sorted_mnist.load\nroot: {Path(asked.data).resolve()}\ncache: cache\n"
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("configs/data").mkdir(parents=True)
        Path("configs/data/sorted.yaml").write_text(keys)
        Path("sorted_mnist.py").write_text(MODULE)
        for window in ("null", *asked.windows.split(",")):
            more = [f"epochs={asked.epochs}", f"data.window={window}", *([] if window == "null" else [PLACE])]
            found = [_accuracy([*more, f"seed={seed}"], f"{window}-{seed}") for seed in range(asked.seeds)]
            spread = f" (deviation {pstdev(found):.2%})" if len(found) > 1 else ""
            print(f"window {window} MB: test accuracy {mean(found):.2%}{spread}", flush=True)


def _accuracy(more: list[str], name: str) -> float:
    words = [sys.executable, "-m", "trainer", "train", "model=lenet", "data=sorted", *SILENT, *more, f"output={name}"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    (result,) = Path(name).rglob("result.json")
    return float(json.loads(result.read_text())["metrics"]["test/accuracy"])


if __name__ == "__main__":
    main()
