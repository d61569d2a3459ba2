"""A long training in one process: memory, open files and threads do not grow with its length."""

import os
from collections.abc import Callable
from pathlib import Path

import running
from processes import machine

from .figures import Figures, the_run

COUNT = 100_000
EPOCHS, SAVES = 200, 500  # of the full number of steps
GROWTH = 0.05


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` steps in 200 epochs (a tenth of that in a sample), with 500 checkpoints."""
    share = max(1, COUNT // count // 5) if count < COUNT else 1
    epochs, saves = EPOCHS // share, SAVES // share
    per_epoch = count // epochs
    asked = (
        *("train", "model=linear", "data=digits", "data.size=8", "data.batch_size=2"),
        f"data.limit={per_epoch * 2 * 10 // 9 + 2}",  # of which a tenth is for validation
        *(f"epochs={epochs}", f"checkpoint.every_steps={count // saves}", "plots=false", "output=runs"),
    )
    figures = Figures()
    found: list[tuple[float, int, int, int]] = []  # share of the run, memory in KiB, open files, threads
    with machine(folder) as trainers:
        trainer = trainers.start(*asked, fresh=True)
        while not trainer.ended(0.002):  # a short one is over in half a second, and a save holds a file for a moment
            try:
                now = _look(trainer.pid)
            except (OSError, KeyError):  # it has ended
                continue
            run = the_run(folder / "runs")
            done = _epochs(run) / epochs if run is not None else 0
            if 0 < done < 1:  # the test at the end is another matter
                found.append((done, *now))
        ended = trainer.wait()
        assert ended.code == 0, ended.err
    run = the_run(folder / "runs")
    assert run is not None
    result = running.result(run)
    figures.counts |= {
        "steps": result["steps"],
        "epochs": result["epochs"],
        "checkpoints": result["steps"] // (count // saves),
    }
    figures.expect(result["steps"] >= count and result["epochs"] == epochs, "it was not that long")
    early = next(now for now in found if now[0] >= 0.1)
    late = found[-1]
    growth = late[1] / early[1] - 1
    figures.counts |= {
        "looks at the process": len(found),
        "MiB at 10%": round(early[1] / 1024, 1),
        "MiB at the end": round(late[1] / 1024, 1),
        "growth, %": round(100 * growth, 2),
        "open files at 10%": early[2],
        "open files at the end": late[2],
        "threads at 10%": early[3],
        "threads at the end": late[3],
    }
    figures.expect(growth < GROWTH, f"memory grew by {100 * growth:.1f}%")
    steady = [now for now in found if now[0] >= 0.1]
    halves = steady[: len(steady) // 2 + 1], steady[len(steady) // 2 :]
    for what, index in (("open files", 2), ("threads", 3)):  # the fewest: a save has one more for a moment
        before, after = (min(now[index] for now in half) for half in halves)
        figures.expect(after <= before, f"{what}: {before} in the first half, {after} in the second")
    say(f"{result['steps']:,} steps in {result['seconds']:.0f} s")
    return figures


def _look(pid: int) -> tuple[int, int, int]:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(lines["Threads"])


def _epochs(run: Path) -> int:
    rows = run / "metrics.jsonl"
    return rows.read_text().count("\n") if rows.exists() else 0
