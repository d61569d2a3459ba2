"""Thousands of jobs through `sweep=slurm` in a simulated queue, of which the submit host is killed in the middle.

All that runs on the submit host is real, but for submitit's pause of 0.2 s between two jobs, which is left out. A node
trains nothing: it writes the result that it has made up (`slurm_simulated.py`). The controller has now and then no
time, and some jobs die.
"""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

from processes import Running, machine
from slurm_simulated import Simulated, simulated

from .figures import Figures

COUNT = 10_000
IN_QUEUE = 300
SETTINGS = {"nodes": 200, "seconds": 1.0, "busy": 0.005, "dying": 0.002, "limit": 280}
KILLED_AT = 0.3  # of the jobs
MARKS = (0.1, 0.5, 0.98)  # of the jobs, at which memory is looked at
COMMAND = """
import runpy
from submitit.core.core import PicklingExecutor
PicklingExecutor._throttle = lambda executor: None
runpy.run_module("trainer", run_name="__main__", alter_sys=True)
"""
SEEDS = 5


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` jobs, a third of them before the submit host is killed, the rest after the sweep is resumed."""
    figures = Figures()
    rates = ",".join(f"{rate / 1000:g}" for rate in range(1, max(2, count // (SEEDS * 20)) + 1))
    decays = ",".join(f"{decay / 10000:g}" for decay in range(20))
    asked = [f"optim.lr={rates}", f"optim.weight_decay={decays}", f"seed=range(0,{SEEDS})", "model=linear"]
    with simulated(folder / "cluster", **SETTINGS) as cluster, machine(folder / "here", PATH=cluster.path) as host:
        words = ("train", "-m", *asked, "data.limit=100", "sweep=slurm", f"sweep.jobs={IN_QUEUE}")
        first = host.start(*words, code=COMMAND, fresh=True)
        until = Watch(folder / "here", first, count, figures, say)
        until.done(KILLED_AT)
        first.kill()
        first.wait()
        (sweep,) = (folder / "here").glob("runs/sweeps/*/*")
        before = _noted(sweep)
        figures.counts["jobs noted before the host was killed"] = len(before)
        second = host.start("resume", sweep.relative_to(folder / "here"), code=COMMAND, fresh=True)
        Watch(folder / "here", second, count, figures, say).done(1.0)
        ended = second.wait()
        figures.expect(ended.code in (0, 1), f"the resumed sweep ended with {ended.code}: {ended.err[-1000:]}")
        figures.counts["jobs adopted"] = _adopted(ended.out)
        _check(figures, cluster, sweep, count)
    return figures


class Watch:
    """Looks at the submit host while it works."""

    def __init__(self, folder: Path, host: Running, count: int, figures: Figures, say: Callable[[str], None]) -> None:
        self.folder, self.host, self.count, self.figures, self.say = folder, host, count, figures, say

    def done(self, share: float) -> None:
        """Return when so many of the jobs are done, or the host has ended."""
        marks = [mark for mark in MARKS if mark <= share]
        begun: tuple[int, tuple[float, ...]] | None = None
        before = self._noted()
        while not self.host.ended(0.1):
            number, now = self._noted(), _usage(self.host.pid)
            if now is None or number <= before:
                continue
            begun = begun or (number, now)
            if number > begun[0]:
                self._cost(number - begun[0], begun[1], now)
            if marks and number >= marks[0] * self.count:
                marks = [mark for mark in marks if number < mark * self.count]
                self.figures.counts[f"MiB with {number // 100 * 100:,} jobs done"] = round(now[0], 1)
                self.say(f"{number:,} jobs done, {now[0]:.1f} MiB")
            if share < 1 and number >= share * self.count:
                return

    def _cost(self, jobs: int, begun: tuple[float, ...], now: tuple[float, ...]) -> None:
        for name, place in (("ms of CPU per job", 1), ("ms of CPU per job in Slurm's commands", 2)):
            self.figures.counts[name] = round(1000 * (now[place] - begun[place]) / jobs, 2)

    def _noted(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob("runs/sweeps/*/*/sweep.jsonl"))


def _usage(pid: int) -> tuple[float, ...] | None:
    """Memory in MiB, and the seconds of CPU of a process and of its children; None if it has ended."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        times = [int(word) for word in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
        memory = int(lines["VmRSS"].split()[0]) / 1024
    except (OSError, KeyError):
        return None
    second = os.sysconf("SC_CLK_TCK")
    return memory, (times[0] + times[1]) / second, (times[2] + times[3]) / second


def _noted(sweep: Path) -> dict[int, str]:
    """How each job has ended; a job that is noted as done twice is an error."""
    lines = [json.loads(line) for line in (sweep / "sweep.jsonl").read_text().splitlines()]
    done = [line["job"] for line in lines if line["status"] == "completed"]
    assert len(done) == len(set(done)), "a job was noted twice"
    return {line["job"]: line["status"] for line in lines}


def _adopted(out: str) -> int:
    (line,) = (line for line in out.splitlines() if "still in Slurm's queue" in line)
    return int(line.split()[0].replace(",", ""))


def _check(figures: Figures, cluster: Simulated, sweep: Path, count: int) -> None:
    noted, told = _noted(sweep), cluster.told()
    began, died, ended = cluster.ran("began"), cluster.ran("died"), cluster.ran("ended")
    statuses = [noted.get(job) for job in range(count)]
    figures.expect(set(noted) == set(range(count)), f"{count - len(noted)} jobs are lost")
    figures.expect(
        all(statuses[job] == ("completed" if ended[job] else "failed") for job in range(count)), "wrong ends"
    )
    twice = [job for job in range(count) if began[job] - died[job] > 1 or ended[job] > 1]
    figures.expect(not twice, f"jobs that ran twice: {twice[:10]}")
    with open(sweep / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    figures.expect(sorted(int(row["job"]) for row in rows) == list(range(count)), "results.csv lacks jobs")
    kept = [path for path in (sweep / "slurm").rglob("*") if path.is_file() or path.is_symlink()]
    own = [path for path in sweep.iterdir() if path.is_file()]
    figures.counts |= {
        "jobs": count,
        "jobs completed": statuses.count("completed"),
        "jobs failed, whose node died": statuses.count("failed"),
        "jobs that ran twice": len(twice),
        "files of Slurm's that stay, per job": round(len(kept) / count, 2),
        "bytes of the sweep's own files, per job": round(sum(path.stat().st_size for path in own) / count),
        "KB of report.html": round((sweep / "report.html").stat().st_size / 1000),
        "pictures": len(list((sweep / "plots").glob("*.png"))),
        **{f"calls of {name}": number for name, number in sorted(told.items()) if name != "told"},
    }
