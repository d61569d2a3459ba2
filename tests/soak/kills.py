"""kill -9 at any moment, most of all within a save: there is always a checkpoint, and the run ends as undisturbed."""

import random
from collections.abc import Callable
from pathlib import Path

from processes import Machine, Running, machine, until
from traps import Trap

from .figures import Figures, readable, the_run
from .trainings import TRAININGS, command, undisturbed

COUNT = 200
PER_RUN = 10
SAVE = ("open", "write", "fsync", "link", "replace")
WITHIN_A_SAVE = r"/\.?(last|best|previous)\.pt(\.part)?$|/checkpoints$"


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` kills, a fifth of them of processes that were not forked."""
    figures = Figures({"kills": 0, "of fresh processes": 0, "within a save": 0, "before the first checkpoint": 0})
    for name in ("last.pt missing", "last.pt unreadable", "previous.pt unreadable", "no checkpoint readable"):
        figures.counts[name] = 0
    dice = random.Random(0)
    with machine(folder) as trainers:
        names = list(TRAININGS)
        whole = {}
        number = 0
        while figures.counts["kills"] < count:
            name = names[number % len(names)]
            if name not in whole:
                whole[name] = undisturbed(trainers, name)
            wanted = min(PER_RUN, count - int(figures.counts["kills"]))
            output = folder / f"killed-{number}"
            _one_run(trainers, name, output, wanted, figures, dice)
            killed = the_run(output)
            assert killed is not None
            figures.expect_equal(whole[name], killed, f"run {number} ({name})")
            number += 1
            say(f"{figures.counts['kills']:.0f} kills, {figures.counts['within a save']:.0f} within a save")
    figures.expect(figures.counts["within a save"] >= count / 2, "less than half of the kills were within a save")
    return figures


def _one_run(trainers: Machine, name: str, output: Path, wanted: int, figures: Figures, dice: random.Random) -> None:
    """Train, and kill and resume up to `wanted` times, and once more to the end."""
    done = 0
    while True:
        found = the_run(output)
        begun = found is not None and any((found / "checkpoints").glob("*.pt"))
        if found is not None and not begun:
            found.rename(output.with_name(f"{output.name}-nothing-{done}"))
        asked = ("resume", str(found)) if begun else (*command(name), f"output={output}")
        if done == wanted:
            ended = trainers.run(*asked)
            figures.expect(ended.code == 0, f"{name}: {' '.join(asked[:2])} ended with {ended.code}: {ended.err}")
            return
        fresh = figures.counts["kills"] % 5 == 4
        way = ("trapped", "watched", "trapped", "any moment")[int(figures.counts["kills"]) % 4]
        trap = Trap(SAVE, "kill", dice.randint(1, 20), WITHIN_A_SAVE, after=dice.random() < 0.3)
        trainer = trainers.start(*asked, traps=(trap,) if way == "trapped" else (), fresh=fresh)
        if way == "watched":
            _kill_when_there_is_a_part(trainer, output, dice)
        elif way == "any moment":
            _kill_some_time(trainer, dice.uniform(1.5, 3.0) if fresh else dice.uniform(0.05, 0.5))
        code = trainer.wait().code
        if code == 0:  # it was faster
            return
        figures.expect(code == -9, f"{name}: {' '.join(asked[:2])} ended with {code}, not by the kill")
        done += 1
        _count(figures, output, way == "trapped", fresh)


def _kill_when_there_is_a_part(trainer: Running, output: Path, dice: random.Random) -> None:
    """After some saves: a `.last.pt.part` is there from the beginning of one to its end."""
    seen = 0
    wanted = dice.randint(1, 10)
    part: Path | None = None

    def due() -> bool:
        nonlocal seen, part
        if trainer.ended():
            return True
        if part is None:
            found = the_run(output) if output.exists() else None
            part = found / "checkpoints" / ".last.pt.part" if found is not None else None
        if part is not None and part.exists():
            seen += 1
            if seen < wanted:
                until(lambda: not part.exists(), 1)
        return seen >= wanted

    until(due, 20)
    trainer.kill()


def _kill_some_time(trainer: Running, seconds: float) -> None:
    until(lambda: False, seconds, pause=0.005)
    trainer.kill()


def _count(figures: Figures, output: Path, trapped: bool, fresh: bool) -> None:
    figures.add("kills")
    figures.add("of fresh processes", fresh)
    run = the_run(output)
    last, previous = ((run or output) / "checkpoints" / f"{name}.pt" for name in ("last", "previous"))
    parts = [] if run is None else list((run / "checkpoints").glob(".*.part"))
    figures.add("within a save", trapped or bool(parts))
    if not last.exists() and not previous.exists():
        figures.add("before the first checkpoint")
        return
    figures.add("last.pt missing", not last.exists())
    figures.add("last.pt unreadable", last.exists() and not readable(last))
    figures.add("previous.pt unreadable", previous.exists() and not readable(previous))
    neither = not readable(last) and not readable(previous)
    figures.add("no checkpoint readable", neither)
    broken = not readable(last) or (previous.exists() and not readable(previous))
    figures.expect(not broken, f"kill {figures.counts['kills']:.0f}: a checkpoint is missing or unreadable in {run}")
