"""kill -9 of any rank, or of the command that has started them: all end, and a resumed run ends as undisturbed."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import descended
from processes import Machine, Running, machine

from trainer import checkpoint

from .figures import Figures, readable, the_run
from .trainings import TRAININGS, command, undisturbed

COUNT = 40  # kills, of which one in four is of the command
PER_RUN = 4
IN_TIME = 30.0
EXACT = ("precision=float64", "checkpoint.every_steps=1", "rank_timeout=20")


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` kills; each training is resumed on one to three ranks until it has come to its end."""
    names = "kills of a rank", "kills of the command", "before the first checkpoint", "slowest end, in seconds"
    figures = Figures(dict.fromkeys(names, 0))
    dice, whole, number = random.Random(count), dict[str, Path](), 0
    with machine(folder) as trainers:
        while done(figures) < count:
            name = [*TRAININGS][number % len(TRAININGS)]
            if name not in whole:
                whole[name] = undisturbed(trainers, name, *EXACT)
            output = folder / f"lost-{number}"
            _one_run(trainers, name, output, min(PER_RUN, count - done(figures)), figures, dice)
            found = the_run(output)
            assert found is not None
            _compare(whole[name], found, f"run {number} ({name})", figures)
            number += 1
            say(f"{done(figures)} kills, the slowest end took {figures.counts['slowest end, in seconds']:.1f} s")
    return figures


def done(figures: Figures) -> int:
    """How many kills there have been."""
    return int(figures.counts["kills of a rank"] + figures.counts["kills of the command"])


def _one_run(trainers: Machine, name: str, output: Path, wanted: int, figures: Figures, dice: random.Random) -> None:
    """Train on several ranks, kill and resume `wanted` times, and then to the end."""
    for turn in range(10 * wanted):
        found = the_run(output)
        begun = found is not None and any(map(readable, (found / "checkpoints").glob("*.pt")))
        if found is not None and not begun:
            found.rename(output.with_name(f"{output.name}-nothing-{turn}"))
        asked = ("resume", str(found)) if begun else (*command(name), *EXACT, f"output={output}")
        if wanted == 0:
            ended = trainers.run(*asked, f"devices={dice.randint(1, 3)}")
            figures.expect(ended.code == 0, f"{name}: resuming ended with {ended.code}: {ended.err}")
            return
        size = dice.randint(2, 3)
        started = trainers.start(*asked, f"devices={size}")
        what = f"{name}, kill {done(figures)}"
        if _killed(started, size, output, figures, dice, what):
            wanted -= 1
        elif started.wait().code == 0:  # it was faster
            return


def _killed(started: Running, size: int, output: Path, figures: Figures, dice: random.Random, what: str) -> bool:
    """Kill one of its processes at some moment, and see that all end; whether it came to that."""
    command_itself = done(figures) % 4 == 3
    if dice.random() < 0.7:
        _wait_for_a_step(started, output)
        time.sleep(dice.uniform(0, 0.6))
    else:
        time.sleep(dice.uniform(0.2, 4.0))
    everyone = descended.below(started.pid)
    ranks = descended.forked_for(started.pid)
    victim = started.pid if command_itself else dice.choice(ranks) if ranks else None
    if victim is None or started.ended():
        started.send(signal.SIGKILL)
        started.wait()
        return False
    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    ended = started.wait(IN_TIME)
    if not command_itself and ended.code == 0:  # its share was done
        return False
    figures.add("kills of the command" if command_itself else "kills of a rank")
    run = the_run(output)
    figures.add("before the first checkpoint", run is None or not any((run / "checkpoints").glob("*.pt")))
    gone = descended.all_gone(everyone, IN_TIME)
    figures.expect(gone, f"{what}: processes are left")
    slowest = figures.counts["slowest end, in seconds"]
    figures.counts["slowest end, in seconds"] = max(slowest, time.monotonic() - begun)
    if not command_itself:
        said = ended.err.count("error:") == 1 and "was killed by SIGKILL" in ended.err
        figures.expect(ended.code == 1 and said, f"{what}: exit code {ended.code}, and it said {ended.err}")
    return True


def _wait_for_a_step(started: Running, output: Path) -> None:
    """Until it has saved a step, or resumed and saved another."""
    found = the_run(output)
    last = found / "checkpoints" / "last.pt" if found is not None else None
    before = last.stat().st_mtime_ns if last is not None and last.exists() else 0

    def saved() -> bool:
        run = the_run(output)
        path = run / "checkpoints" / "last.pt" if run is not None else None
        return (path is not None and path.exists() and path.stat().st_mtime_ns != before) or started.ended()

    started.until(saved)


def _compare(whole: Path, run: Path, what: str, figures: Figures) -> None:
    """The weights are those of the undisturbed run on one process, but for the order of sums."""
    one, other = (checkpoint.read(each / "checkpoints" / "last.pt").model for each in (whole, run))
    apart = max(float((one[name] - other[name]).abs().max()) for name in one)
    figures.counts["largest difference"] = max(figures.counts.get("largest difference", 0.0), apart)
    figures.add("runs compared")
    figures.expect(apart <= 1e-10, f"{what}: weights differ by {apart:.1e}")
    figures.expect_tidy(run, what)
