"""What a sample costs that is read in windows, against one of a mapped file: processor and wall-clock time, by turns.

    python -m benchmarks.window_cost --folder FOLDER                a file of 3 GB in FOLDER, all memory
    python -m benchmarks.window_cost --folder FOLDER --limit 1000   the same, in a control group of 1,000 MB

Both take turns in one process with one thread, so that what others do on the machine concerns both. Processor time
counts the thread that reads, and says more than wall-clock time where others are busy.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import limited
from benchmarks.larger import MODULE

BATCH, WINDOW = 256, 64 * 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="MB")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.limit is None:
        os.chdir(asked.folder)
        _measure(int(asked.gigabytes * 1e9) // 3072, asked.steps, asked.rounds)
        return
    for file in asked.folder.glob("cache/*/train.npy"):
        limited.forget(file)
    words = ["-m", "benchmarks.window_cost", f"--folder={asked.folder}", f"--gigabytes={asked.gigabytes}"]
    words += [f"--steps={asked.steps}", f"--rounds={asked.rounds}"]
    peak = limited.run(words, asked.limit * 10**6, asked.folder / "run.log")
    print((asked.folder / "run.log").read_text(), end="")
    print(f"at most {peak.anonymous / 1e6:.0f} MB of its own")


def _measure(count: int, steps: int, rounds: int) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    from trainer.data.batches import Batches

    Path("larger_images.py").write_text(MODULE)
    sys.path.insert(0, ".")
    from larger_images import load  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    data, cpu = load(count, "cache"), torch.device("cpu")
    keys: dict[str, Any] = {"mean": data.mean, "std": data.std}
    kinds = {
        "mapped": Batches(data.train, BATCH, cpu, **keys),
        "in windows": Batches(data.train, BATCH, cpu, window=WINDOW, shuffled=WINDOW, **keys),
    }
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def endless(batches: Batches) -> Iterator[Any]:
        for epoch in range(10**6):
            yield from batches.epoch(epoch)

    streams = {name: endless(batches) for name, batches in kinds.items()}
    spent = dict.fromkeys(kinds, (0.0, 0.0))
    for _ in range(rounds):
        for name, stream in streams.items():
            next(stream)  # a window is read
            processor, wall = time.process_time(), time.perf_counter()
            for _ in range(steps):
                inputs, targets = next(stream)
                optimizer.zero_grad()
                cross_entropy(model(inputs), targets).backward()
                optimizer.step()
            before = spent[name]
            spent[name] = before[0] + time.process_time() - processor, before[1] + time.perf_counter() - wall
    for name, seconds in spent.items():
        processor, wall = (1e6 * one / (steps * rounds * BATCH) for one in seconds)
        print(f"{name}: {processor:.2f} us of the processor and {wall:.2f} us a sample", flush=True)


if __name__ == "__main__":
    main()
