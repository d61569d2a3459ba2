"""A small disk that fills up at one moment or another: what was there stays whole, and space is all that it takes."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from processes import LIMIT, Machine, machine
from traps import Trap, fill

from .figures import Figures, readable, the_run
from .trainings import command, undisturbed

COUNT = 60
SHORT = ("epochs=3", "data.limit=40")
# What is being written when there is no room left: a call, and the path that it is for.
MOMENTS = {
    "last.pt, opened": ("open", r"\.last\.pt\.part$"),
    "last.pt, written": ("write", r"\.last\.pt\.part$"),
    "last.pt, kept": ("link", r"\.previous\.pt\.part$"),
    "best.pt": ("write", r"\.best\.pt\.part$"),
    "TensorBoard": ("write", "tfevents"),
    "metrics.jsonl": ("write", "metrics.jsonl$"),
    "config.yaml": ("write", "config.yaml.part$"),
    "result.json": ("open", "result.json.part$"),
    "train.log": ("write", "train.log$"),
    "plots": ("open", "plots/.*png"),
    "cache": ("open", r"/cache/.*\.npy$"),
    "nothing yet": ("replace", "overrides.yaml$"),
}


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` full disks, at a dozen kinds of moments."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _small_disk(folder / "disk"):
            pass
    except OSError as error:
        return _as_root_of_a_namespace(count, folder, str(error))
    figures, dice = Figures(), random.Random(0)
    with machine(folder) as trainers:
        whole = undisturbed(trainers, "mlp", *SHORT)
        for number in range(count):
            moment = list(MOMENTS)[number * len(MOMENTS) // count if count < len(MOMENTS) else number % len(MOMENTS)]
            with _small_disk(folder / "disk") as disk:
                _one(trainers, moment, disk, whole, figures, dice)
            if number % 12 == 11:
                say(f"{number + 1} of {count}")
    return figures


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        raise OSError(mounted.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _as_root_of_a_namespace(count: int, folder: Path, reason: str) -> Figures:
    """Who may not mount here may do so in a namespace of his own, on most systems."""
    again = f"mounting is not possible in a namespace, either: {reason}"
    if os.environ.get("TRAINER_SOAK_NAMESPACE") or shutil.which("unshare") is None:
        return Figures(skipped=again)
    code = (
        "import dataclasses, json, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from soak import full; found = full.run(int(sys.argv[2]), Path(sys.argv[3]), lambda text: None);"
        "print(json.dumps(dataclasses.asdict(found)))"
    )
    tests = str(Path(__file__).resolve().parent.parent)
    ran = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", code, tests, str(count), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT + 20 * count,
        env={**os.environ, "TRAINER_SOAK_NAMESPACE": "1"},
    )
    if ran.returncode != 0:
        return Figures(skipped=f"neither mount nor unshare is allowed: {ran.stderr.strip()[-200:]}")
    return Figures(**json.loads(ran.stdout.splitlines()[-1]))


def _one(trainers: Machine, moment: str, disk: Path, whole: Path, figures: Figures, dice: random.Random) -> None:
    call, path = MOMENTS[moment]
    often = moment in ("last.pt, opened", "last.pt, written", "last.pt, kept", "TensorBoard", "train.log")
    at = dice.randint(1, 8) if often else 1  # there are ten saves
    room = dice.choice((0, 0, 4096, 16384))
    ballast = disk / "ballast"
    trap = Trap((call,), "fill", at, path, file=str(ballast), room=room)
    what = f"full at {moment}, call {at}, {room} bytes left"
    more = (f"data.cache={disk / 'cache'}",) if moment == "cache" else ("plots=true",) if moment == "plots" else ()
    ended = trainers.run(*command("mlp"), *SHORT, *more, f"output={disk / 'runs'}", traps=(trap,))
    run = the_run(disk / "runs")
    figures.add("full disks")
    if not ballast.exists():
        figures.misses.append(f"{what}: the moment did not come")
        return
    lines = ended.err.splitlines()
    if ended.code == 0:
        figures.add("done nevertheless")
        # The file that the kept one takes the place of leaves its space.
        without = "train.log" in ended.err or (moment == "cache" and "No space left" in ended.out)
        without = without or room or moment == "last.pt, kept"
        figures.expect(without, f"{what}: exit code 0, and it said {ended.err!r}")
    else:
        figures.add("exit code 1 or 2")
        said = [line for line in lines if not line.startswith("warning: ")]
        figures.expect(ended.code in (1, 2), f"{what}: exit code {ended.code}")
        figures.expect("disk full" in ended.err and len(said) <= 2, f"{what}: it said {ended.err!r}")
    if run is None or not any((run / "checkpoints").glob("*.pt")):
        figures.add("before the first checkpoint")
        return
    figures.expect_tidy(run, what)
    saved = list((run / "checkpoints").glob("*.pt"))
    figures.add("checkpoints read again", len(saved))
    figures.expect(all(map(readable, saved)), f"{what}: a checkpoint is damaged")
    fill(ballast)
    if ended.code != 0:
        ended = trainers.run("resume", str(run))
        figures.expect(ended.code in (0, 1, 2), f"{what}: resumed on a full disk: {ended.code} {ended.err!r}")
        figures.expect("Traceback" not in ended.err, f"{what}: resumed on a full disk: {ended.err!r}")
        figures.expect(all(map(readable, saved)), f"{what}: resumed on a full disk: a checkpoint is damaged")
    ballast.unlink()
    ended = trainers.run("resume", str(run))
    figures.expect(ended.code == 0, f"{what}: the resume ended with {ended.code}: {ended.err}")
    figures.expect_equal(whole, run, what)
