"""A table of a million rows: how soon it is trained on, what memory it takes, and what an epoch of it costs.

    python -m benchmarks.table_million            a million rows of 20 numbers, in a temporary folder
    python -m benchmarks.table_million --rows 100000 --rounds 1
    OMP_NUM_THREADS=1 python -m benchmarks.table_million      where others work, too: threads that wait for each other

A process of `trainer train` reads the table and ends after its first step; its memory is the most that the kernel saw.
Then, in one process, an epoch of trainer and one of a bare loop over ready tensors take turns: the same `mlp`, AdamW,
batches of 1,024. The ratio is the median of those of the rounds.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from statistics import median

COLUMNS = 20
BATCH = 1024
SILENT = ("plots=false", "tensorboard.enabled=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        path = Path("table.csv")
        # By another process: the kernel counts the memory of who starts a process as that of the process.
        writer = multiprocessing.get_context("spawn").Process(target=_write, args=(path, asked.rows))
        writer.start()
        writer.join()
        seconds, peak = _first_step(path)
        allowed = 4 * asked.rows * COLUMNS * 2.5 / 1e6 + 700
        print(f"{asked.rows:,} rows x {COLUMNS} numbers, {path.stat().st_size / 1e6:.0f} MB as text")
        print(f"to the end of the first step: {seconds:.1f} s, at most {peak:.0f} MB ({allowed:.0f} MB are wanted)")
        bare = _bare(path)
        next(bare)  # the first is slow
        ratios = []
        for _ in range(asked.rounds):
            ours, theirs = _epoch(path), next(bare)
            ratios.append(ours / theirs)
            print(f"an epoch: trainer {ours:.2f} s, bare loop {theirs:.2f} s, ratio {ratios[-1]:.3f}")
        print(f"ratio {median(ratios):.3f}")


def _write(path: Path, rows: int) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, COLUMNS))
    target = values[:, 0] + values[:, 1] * values[:, 2] + 0.5 * rng.normal(size=rows) > 0
    columns = {f"f{i}": values[:, i] for i in range(COLUMNS)}
    pl.DataFrame(columns | {"y": target.astype(int)}).write_csv(path, float_precision=4)


def _command(path: Path, *more: str) -> list[str]:
    data = ("data=table", f"data.path={path}", "data.target=y", f"data.batch_size={BATCH}")
    return ["train", "model=mlp", *data, "device=cpu", *SILENT, *more]


def _first_step(path: Path) -> tuple[float, float]:
    """Seconds from the command to its end after one step, and the megabytes of memory that it took at most."""
    started = time.perf_counter()
    words = [sys.executable, "-m", "trainer", *_command(path, "max_steps=1", "data.val_fraction=0")]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"trainer ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, used.ru_maxrss / 1e3


def _epoch(path: Path) -> float:
    """Seconds of the second epoch of trainer, without an evaluation."""
    from trainer.cli.main import main as trainer

    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        trainer(_command(path, "epochs=2", "data.val_fraction=0", "output=ours"))
    (log,) = sorted(Path("ours").rglob("metrics.jsonl"), key=os.path.getmtime)[-1:]
    return float(json.loads(log.read_text().splitlines()[-1])["seconds"])


def _bare(path: Path) -> Iterator[float]:
    """Seconds of each epoch of a loop by hand over the same training samples."""
    import torch
    import torch.nn.functional as F

    from trainer import data, models
    from trainer.data.sets.table import Table

    loaded = data.load(Table(path=str(path), target="y", val_fraction=0.0))
    inputs, targets = loaded.train.inputs, loaded.train.targets
    model = models.make("mlp", in_features=inputs.shape[1], out_features=2, hidden=64, activation="relu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    while True:
        started = time.perf_counter()
        for index in torch.randperm(len(targets)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[index]), targets[index]).backward()
            optimizer.step()
        yield time.perf_counter() - started


if __name__ == "__main__":
    main()
