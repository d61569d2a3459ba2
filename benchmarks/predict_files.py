"""`trainer predict` on many JPEGs beside a plain loop over torch's DataLoader, and what memory it takes for more.

    python -m benchmarks.predict_files                     10,000 made JPEGs of 96 x 96, read at 32 x 32
    python -m benchmarks.predict_files --side 400 --size 64 --files 2000
    python -m benchmarks.predict_files --images data/cifar10-images/test
    python -m benchmarks.predict_files --memory 1000,10000,100000 --rounds 0
    OMP_NUM_THREADS=1 python -m benchmarks.predict_files    where others work, too: threads that wait for each other

The loop decodes with Pillow, scales, and collates in workers; the parent normalises, runs the same network and takes
the softmax, and writes nothing. It is tried with 0 workers up to one more than there are cores, and with one
thread or all of them for the network; the fastest of these competes. `trainer predict` is the whole command but for
Python's imports: it composes its config, loads the checkpoint, starts its processes and writes predictions.csv.

They take turns; the ratio is the median of those of the rounds. Beside images per second stands the time of all cores
that an image took, which says more on a machine where others work, too. Memory is that of all processes together.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from statistics import median

BATCH = 64
SILENT = ("plots=false", "tensorboard.enabled=false")
Figures = tuple[float, float]  # images per second, and microseconds of all cores for each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder of JPEGs; made if it is left out")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=96, help="of the images that are made")
    parser.add_argument("--size", type=int, default=32, help="that the model sees")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", help="numbers of files, as 1000,10000")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's, of more workers than cores
    given = asked.images.absolute() if asked.images else None
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        files = _linked(given, asked.files) if given else _made(asked.files, asked.side)
        run = _trained(asked.size)
        print(f"{len(files):,} JPEGs, {sum(map(os.path.getsize, files)) / len(files) / 1e3:.1f} kB each")
        if asked.rounds:
            _compare(run, files, asked.size, asked.rounds)
        for count in map(int, asked.memory.split(",")) if asked.memory else ():
            print(f"{count:,} files: {_memory(run, files, count):.0f} MiB")


def _compare(run: Path, files: list[str], size: int, rounds: int) -> None:
    import torch

    contenders = {"trainer predict": lambda: _predict(run)}
    cores = len(os.sched_getaffinity(0))
    loop = _loop(run, files, size)
    for workers in range(cores + 2):
        for threads in sorted({1, torch.get_num_threads()}):
            contenders[f"DataLoader, {workers} workers, {threads} threads"] = _bound(loop, workers, threads)
    found: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(_measured(contender, len(files)))
    for name, figures in found.items():
        speed, cost = (median(values) for values in zip(*figures, strict=True))
        print(f"{name:<36} {speed:>8,.0f} images/s {cost:>8,.0f} us of a core each")
    ours = found.pop("trainer predict")
    best = max(found, key=lambda name: median(speed for speed, _ in found[name]))
    for place, what in enumerate(("images/s", "time of cores")):
        ratio = median(one[place] / other[place] for one, other in zip(ours, found[best], strict=True))
        print(f"{what}: trainer predict / {best}: {ratio:.2f}")


def _bound(loop: Callable[[int, int], None], workers: int, threads: int) -> Callable[[], None]:
    return lambda: loop(workers, threads)


def _measured(contender: Callable[[], object], count: int) -> Figures:
    before, begun = os.times(), time.perf_counter()
    contender()
    seconds, after = time.perf_counter() - begun, os.times()
    return count / seconds, 1e6 * (sum(after[:4]) - sum(before[:4])) / count


def _made(count: int, side: int) -> list[str]:
    """JPEGs of `side` x `side` in ten folders."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    for number in range(count):
        path = Path("photos", f"class{number % 10}", f"{number:06}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse[number % 100]).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    return sorted(map(str, Path("photos").rglob("*.jpg")))


def _linked(given: Path, count: int) -> list[str]:
    """The first files of a folder of class folders, linked to here."""
    for path in sorted(given.rglob("*.jpg"))[:count]:
        link = Path("photos", path.parent.name, path.name)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return sorted(map(str, Path("photos").rglob("*.jpg")))


def _trained(size: int) -> Path:
    """A run of the tutorial's network on a few of them."""
    for folder in sorted(Path("photos").iterdir()):
        small = Path("few", folder.name)
        small.mkdir(parents=True)
        for path in sorted(folder.iterdir())[:30]:
            (small / path.name).symlink_to(path.absolute())
    model = "cifar_lenet" if size == 32 else "lenet"
    words = (f"model={model}", "data=folder", "data.path=few", f"data.size={size}", "data.cache=null", "epochs=1")
    _trainer("train", *words, *SILENT, "name=few")
    (run,) = Path("runs", "few").iterdir()
    return run


def _trainer(*words: str) -> None:
    from trainer.cli.main import main as trainer

    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        if code := trainer(list(words)):
            sys.exit(f"trainer {words[0]} ended with {code}")


def _predict(run: Path) -> None:
    _trainer("predict", str(run), "input=photos")


def _loop(run: Path, files: list[str], size: int) -> Callable[[int, int], None]:
    """The plain loop, with a number of workers and threads."""
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from trainer.config import composition
    from trainer.config.check import check
    from trainer.engine import device
    from trainer.predict.predictor import load
    from trainer.show.report import Report

    with composition.ready():
        config = check("predict", *_composed(composition))
    predictor = load(config, str(run), device.choose("cpu", "float32"), Report(quiet=True))
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (predictor.mean or (), predictor.std or ()))

    class Images(Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, number: int) -> torch.Tensor:
            image = Image.open(files[number]).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)

    @torch.inference_mode()
    def loop(workers: int, threads: int) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        for batch in DataLoader(Images(), batch_size=BATCH, num_workers=workers):
            predictor.model((batch.float() / 255 - mean) / std).softmax(1)
        torch.set_num_threads(before)

    return loop


def _composed(composition: object) -> Iterator[object]:
    cfg, choices = composition.compose("predict", ["ckpt=[x]", "input=[x]"])  # type: ignore[attr-defined]
    return iter((cfg, [], choices))


def _memory(run: Path, files: list[str], count: int) -> float:
    """The most that all processes of `trainer predict` take for so many files, in MiB."""
    folder = Path(f"links{count}")
    folder.mkdir()
    for number in range(count):
        os.link(os.path.realpath(files[number % len(files)]), folder / f"{number:07}.jpg")
    words = [sys.executable, "-m", "trainer", "predict", str(run), f"input={folder}", f"out={folder}.csv"]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, sum(map(_resident, [child.pid, *_children(child.pid)])))
        time.sleep(0.02)
    if child.returncode:
        sys.exit(f"trainer predict ended with {child.returncode}")
    return peak


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _resident(pid: int) -> float:
    """The process's share of memory in MiB: what it has alone, and its part of what it shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
