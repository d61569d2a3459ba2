"""Each write, fsync, link and rename of a training fails once: one line says which file, and nothing is lost."""

import errno
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from processes import Ended, Machine, machine
from traps import SYSTEM, Trap

from .figures import Figures, readable, the_run
from .trainings import command, undisturbed

COUNT = 100_000  # all of them
SHORT = ("epochs=2", "data.limit=40")
STEP = "trainer.engine.steps.eager:EagerStep.__call__"


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Every Nth call of a training, and of its resume, fails: at most `count` of them, evenly chosen."""
    figures = Figures()
    with machine(folder) as trainers:
        whole = undisturbed(trainers, "mlp", *SHORT)
        train = [*command("mlp"), *SHORT]
        stop = Trap((STEP,), "signal", at=4, signum=signal.SIGINT)
        ended = trainers.run(*train, f"output={folder / 'interrupted'}", traps=(stop,))
        assert ended.code == 130, ended.err
        interrupted = the_run(folder / "interrupted")
        assert interrupted is not None

        def place(case: str) -> tuple[list[str], Path]:
            """What is typed, and the folder that it writes to."""
            output = folder / case
            if not case.startswith("resumed"):
                return [*train, f"output={output}"], output
            shutil.copytree(interrupted, output / "run" / "0")
            return ["resume", str(output / "run" / "0")], output

        points = []
        for kind in ("trained", "resumed"):
            argv, output = place(f"{kind}-noted")
            notes = folder / f"{kind}.calls"
            note = Trap(SYSTEM, "note", path=_below(output), every=True, file=str(notes))
            assert trainers.run(*argv, traps=(note,)).code == 0
            calls = len(notes.read_text().splitlines())
            points += [(kind, at) for at in range(1, calls + 1)]
        figures.counts["calls that could fail"] = len(points)
        chosen = points if count >= len(points) else [points[len(points) * i // count] for i in range(count)]
        for number, (kind, at) in enumerate(chosen):
            argv, output = place(f"{kind}-{at}")
            code = (errno.ENOSPC, errno.EIO)[at % 2]
            _one(trainers, argv, output, at, code, whole, figures)
            shutil.rmtree(output)
            if number % 50 == 49:
                say(f"{number + 1} of {len(chosen)}")
    return figures


def _below(output: Path) -> str:
    return f"^{output}/"


def _one(
    trainers: Machine, argv: Sequence[str], output: Path, at: int, code: int, whole: Path, figures: Figures
) -> None:
    noted = output.with_suffix(".failed")
    ended = trainers.run(*argv, traps=(Trap(SYSTEM, "fail", at, _below(output), errno=code, file=str(noted)),))
    if not noted.exists():  # the clock decides on some writes: there were fewer this time
        figures.add("calls not made this time")
        return
    call, path = noted.read_text().split(None, 1)
    file = Path(path.strip())
    what = f"{errno.errorcode[code]} in the {call} of {file.name}, call {at} of {output.name}"
    figures.add(f"{call} failed")
    run = the_run(output)
    if ended.code == 0 and call == "link":
        figures.add("done without links")
    elif ended.code == 0 and file.name == "train.log":
        figures.add("done without train.log, with a warning")
        figures.expect(ended.err.startswith(f"warning: cannot write {file}"), f"{what}: it said {ended.err!r}")
    else:
        figures.expect(ended.code in (1, 2), f"{what}: exit code {ended.code}")
        figures.expect(_named(ended, file), f"{what}: it said {ended.err!r}")
    if run is None or not any((run / "checkpoints").glob("*.pt")):
        figures.add("before the first checkpoint")
        if run is not None:
            figures.expect_tidy(run, what)
        return
    figures.expect_tidy(run, what)
    there = [path for path in (run / "checkpoints").glob("*.pt") if path.stem in ("last", "previous")]
    figures.expect(there and all(map(readable, there)), f"{what}: a checkpoint is lost")
    ended = trainers.run("resume", str(run))
    figures.expect(ended.code == 0, f"{what}: the resume ended with {ended.code}: {ended.err}")
    figures.expect_equal(whole, run, what)


def _named(ended: Ended, file: Path) -> bool:
    """Whether two lines at most say what is wrong, with the file's name."""
    lines = ended.err.splitlines()
    name = file.name.removeprefix(".").removesuffix(".part")
    inside = not file.suffix  # a directory: any file in it
    names = (name, "last.pt") if name == "previous.pt" else (name,)
    known = inside or any(n in lines[0] for n in names) if lines else False
    return 1 <= len(lines) <= 2 and lines[0].startswith("error: ") and known
