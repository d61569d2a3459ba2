"""A run that is killed again and again: its curves have each step once, and no step is missing."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import resuming
import running
from processes import machine
from traps import Trap

from .figures import Figures, the_run
from .trainings import command, undisturbed

COUNT = 10
STEP = "trainer.engine.steps.eager:EagerStep.__call__"


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` kills and resumes of one run, some steps after its last checkpoint; then its files are read raw."""
    figures, dice = Figures({"kills": 0}), random.Random(0)
    sparse = ("checkpoint.every_steps=3", "epochs=10")  # so that steps are taken twice
    with machine(folder) as trainers:
        whole = undisturbed(trainers, "lenet", *sparse)
        output = folder / "killed"
        taken = folder / "steps"
        note = Trap((STEP,), "note", every=True, file=str(taken))
        while figures.counts["kills"] < count:
            run = the_run(output)
            asked = ("resume", str(run)) if run else (*command("lenet"), *sparse, f"output={output}")
            kill = Trap((STEP,), "kill", at=dice.randint(5, 9))
            ended = trainers.run(*asked, traps=(note, kill))
            assert ended.code == -9, ended.err
            figures.add("kills")
        run = the_run(output)
        assert run is not None
        ended = trainers.run("resume", run, traps=(note,))
        assert ended.code == 0, ended.err
    points = Counter((tag, step) for step, tag, _ in resuming.scalars(run))
    rows = Counter((row["epoch"], row["step"]) for row in running.rows(run))
    steps = running.result(run)["steps"]
    figures.counts |= {
        "steps of the run": steps,
        "steps taken": len(taken.read_text().splitlines()),
        "event files": len(list(run.glob("events.out.tfevents.*"))),
        "points in TensorBoard's files": points.total(),
        "of these, more than once": points.total() - len(points),
        "rows of metrics.jsonl": rows.total(),
        "of these rows, more than once": rows.total() - len(rows),
    }
    figures.expect(figures.counts["steps taken"] > steps, "no step was taken twice: the kills prove nothing")
    figures.expect(points.total() == len(points), "a point is there more than once")
    figures.expect(rows.total() == len(rows), "a row is there more than once")
    curve = {step for tag, step in points if tag == "loss/within_epochs"}
    figures.expect(curve == set(range(1, steps + 1)), "steps are missing")
    figures.expect_equal(whole, run, "the run")
    say(f"{steps} steps")
    return figures
