"""Twenty signals within a second: a training, or a sweep, ends in order, and goes on from what it had come to."""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import running
from processes import Ended, Machine, Running, machine, until

from .figures import Figures

COUNT = 80
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TRAINED = (*running.SILENT, "model=linear", "data.limit=100", "data.batch_size=2", "checkpoint.every_steps=50")
JOBS = ("-m", "seed=0,1,2,3", "optim.lr=0.01,0.1", *TRAINED, "epochs=8")
KINDS = {
    "single": (*TRAINED, "epochs=60", "plots=true"),
    "serial": (*JOBS, "sweep=serial"),
    "batched": (*JOBS, "sweep=batched", "epochs=30"),
    "parallel": (*JOBS, "sweep=parallel", "sweep.jobs=2"),
}


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` storms, at any moment of trainings and of sweeps in each form; each is resumed to its end."""
    figures, dice = Figures({"storms": 0, "slowest end, s": 0}), random.Random(0)
    with machine(folder) as trainers:
        for number in range(count):
            kind = list(KINDS)[number % len(KINDS)]
            _storm(trainers, kind, folder / f"{kind}-{number}", figures, dice)
            if number % 20 == 19:
                say(f"{number + 1} storms")
    return figures


def _storm(trainers: Machine, kind: str, output: Path, figures: Figures, dice: random.Random) -> None:
    trainer = trainers.start("train", *KINDS[kind], f"output={output}")
    until(lambda: trainer.ended() or any(output.glob("**/metrics.jsonl")), 60, pause=0.005)
    until(trainer.ended, dice.choice((0.05, 0.5, 1.5)) * dice.random(), pause=0.005)
    sent = [dice.choice(SIGNALS) for _ in range(20)]
    pause = dice.choice((0.0, 0.002, 0.02, 0.05))
    what = f"{kind} {output.name}, a signal each {pause} s"
    began = time.monotonic()
    reached = _send(trainer, sent, pause)
    ended = trainer.wait()
    figures.add("storms")
    figures.add(f"ended with {ended.code}")
    figures.counts["slowest end, s"] = max(figures.counts["slowest end, s"], round(time.monotonic() - began, 1))
    over = ended.code == 0 and reached < len(sent)  # it had come to its end before, or as the signals came
    figures.expect(over or ended.code in (130, 143), f"{what}: exit code {ended.code}: {ended.err[-300:]!r}")
    quiet = "Traceback" not in ended.err and "Exception ignored" not in ended.err
    figures.expect(quiet, f"{what}: it said {ended.err[-1500:]!r}")
    _resumed(trainers, kind, output, ended, what, figures)
    trainer.leaves_nobody()


def _send(trainer: Running, signums: list[signal.Signals], pause: float) -> int:
    """How many were sent before it ended."""
    for number, signum in enumerate(signums):
        trainer.send(signum)
        if trainer.ended(pause):
            return number
    return len(signums)


def _resumed(trainers: Machine, kind: str, output: Path, ended: Ended, what: str, figures: Figures) -> None:
    """What is left can be read, says how to go on, and is brought to its end."""
    (place,) = output.glob("*/*" if kind == "single" else "sweeps/*/*")
    if ended.code in (130, 143) and (kind != "single" or any(place.glob("checkpoints/*.pt"))):
        figures.add("said how to go on", "trainer resume" in ended.out + ended.err)
    for path in (*place.rglob("result.json"), *place.rglob("sweep.jsonl")):
        try:
            [
                json.loads(text)
                for text in ([path.read_text()] if path.suffix == ".json" else path.read_text().splitlines())
            ]
        except ValueError as error:
            figures.misses.append(f"{what}: {path.name} cannot be read: {error}")
    resumed = trainers.run("resume", str(place))
    figures.expect(resumed.code == 0, f"{what}: the resume ended with {resumed.code}: {resumed.err[-500:]}")
    if kind != "single":
        jobs = [json.loads(line) for line in (place / "sweep.jsonl").read_text().splitlines()]
        done = [job["job"] for job in jobs if job["status"] == "completed"]
        figures.expect(sorted(done) == list(range(8)), f"{what}: these jobs are done: {done}")
