"""Checkpoints with a changed state: whatever a run's last.pt or best.pt holds, nothing but a line comes of it."""

import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from processes import Machine, machine
from traps import Trap

from trainer.cli import arguments
from trainer.cli import main as cli
from trainer.config import composition, registry
from trainer.config.base import Config
from trainer.run import resuming, starting  # noqa: F401 -- or every case would import them

from .figures import Figures, the_run
from .mutations import mutated

COUNT = 5_000
LIMIT = 10.0  # seconds for a case
ROOM = 2**33  # bytes of memory beyond those of the process that cases are forked from
STEP = "trainer.engine.steps.eager:EagerStep.__call__"
COMMON = (
    *("plots=false", "tensorboard.enabled=false", "data=digits", "data.limit=60", "data.batch_size=16"),
    *("epochs=3", "device=cpu"),
)
SMALL = ("model=mlp", "model.hidden=5", "data.size=8")
RUNS = {
    "sgd": (*SMALL, "optim=sgd", "optim.momentum=0.9", "scheduler=onecycle", "early_stopping.patience=2"),
    "adam": (*SMALL, "optim=adam", "optim.amsgrad=true", "scheduler=cosine", "scheduler.warmup_steps=2"),
    "adamw": (*SMALL, "optim=adamw", "scheduler=plateau", "scheduler.patience=0", "early_stopping.patience=1"),
    "adagrad": (*SMALL, "optim=adagrad", "optim.lr_decay=0.01", "scheduler=exponential", "scheduler.warmup_steps=2"),
    "rmsprop": (*SMALL, "optim=rmsprop", "optim.centered=true", "optim.momentum=0.5", "scheduler=step"),
    "convolutions": ("model=lenet", "data.size=28", "optim=adam", "scheduler=constant", "data.augment.shift=1"),
}
# How often each file is changed, and the command that then reads it.
WAYS = [*["resume last"] * 14, *["resume best"] * 3, "eval last", "eval best", "from last"]


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` changed checkpoints, each resumed, evaluated or started from in a process of its own."""
    figures = Figures()
    with machine(folder) as trainers:
        for name, asked in RUNS.items():
            _make(trainers, name, asked)
        trying = trainers.start(str(count), code="from tests.soak.states import serve; serve()")
        while not trying.ended(10):
            said = trying.out.count("\n")
            say(f"{said:,} of {count:,}")
        ended = trying.wait()
    assert ended.code == 0, ended.err
    (folder / "cases.jsonl").write_text(ended.out)
    for line in ended.out.splitlines():
        tried = json.loads(line)
        figures.add(tried["how"])
        figures.expect(not tried["miss"], f"{tried['case']}: {tried['miss']}")
    figures.counts["cases"] = len(ended.out.splitlines())
    figures.expect(figures.counts["cases"] == count, "some were not tried")
    return figures


def _make(trainers: Machine, name: str, asked: tuple[str, ...]) -> None:
    """A run that was interrupted in its second epoch."""
    output = trainers.folder / name
    stop = Trap((STEP,), "signal", at=6, signum=signal.SIGINT)
    ended = trainers.run("train", *COMMON, *asked, f"output={output}", traps=(stop,))
    assert ended.code == 130, ended.err
    made = the_run(output)
    assert made is not None
    (made / "checkpoints" / "previous.pt").unlink()  # or what last.pt says would rarely come to be read
    made.rename(output / "made")


# --- in the process that cases are forked from --------------------------------------------------------

TRIED, NEW, SAID, SAID_ERR = Path("tried"), Path("new"), Path("said"), Path("said-err")
CHANGED = TRIED / "checkpoints"


def serve() -> None:
    """Try as many cases as the command line says, in the folder of the runs; a line of JSON for each."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    runs = {name: Made(name) for name in RUNS}
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    gc.freeze()  # or a child would copy every page that it looks through
    for number in range(int(sys.argv[1])):
        dice = random.Random(number)
        made, way = runs[list(RUNS)[number % len(RUNS)]], dice.choice(WAYS)
        command, file = way.split()
        content, said = mutated(made.contents[file], dice)
        started = time.monotonic()
        how, miss = made.tried(command, file, content)
        case = f"case {number}, {made.name}, {way}, {'; '.join(said)}"
        print(json.dumps({"case": case, "how": how, "miss": miss, "s": time.monotonic() - started}), flush=True)


class Made:
    """A run, what its checkpoints hold, and the config of each command on a copy of it: composing takes longest."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._copy()
        self.contents = {file: torch.load(CHANGED / f"{file}.pt", weights_only=True) for file in ("last", "best")}
        self.commands = {
            ("resume", "last"): ("resume", str(TRIED)),
            ("resume", "best"): ("resume", str(TRIED)),
            ("eval", "last"): ("eval", f"ckpt={CHANGED / 'last.pt'}"),
            ("eval", "best"): ("eval", f"ckpt={TRIED}"),
            ("from", "last"): ("train", f"from={CHANGED / 'last.pt'}", "max_steps=2", f"output={NEW}", *COMMON[:2]),
        }
        self.configs = {way: self._composed(*argv) for way, argv in self.commands.items()}

    def _copy(self) -> None:
        for old in (TRIED, NEW):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(Path(self.name, "made"), TRIED)

    @staticmethod
    def _composed(verb: str, *args: str) -> Config:
        given = arguments.read(verb, list(args))
        with composition.ready(composition.CONFIGS):
            (config,) = cli._configs(given)
        return config

    def tried(self, command: str, file: str, content: Any) -> tuple[str, str]:
        """How the command ends with this content of a file, and what is wrong with that."""
        self._copy()
        try:
            torch.save(content, CHANGED / f"{file}.pt")
        except Exception as error:  # this torch cannot write it
            return f"not written: {type(error).__name__}", ""
        before = _files(CHANGED)
        code = _forked(lambda: self._run(command, file))
        if code is None:
            return "too long", f"it took over {LIMIT:.0f} s"
        return _judged(code, _files(CHANGED) == before)

    def _run(self, command: str, file: str) -> int:
        config = self.configs[command, file]
        verb, *args = self.commands[command, file]

        def run(verb: str, args: list[str]) -> int:
            registry.command(verb).run(config)
            return 0

        cli._run = run  # type: ignore[assignment]
        return cli.main([verb, *args])


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _forked(run: Callable[[], int]) -> int | None:
    """The exit code of a child in which `run` is called, negative where a signal ended it; None: it took too long.

    What it prints is in the file SAID, standard error apart from the rest in SAID_ERR.
    """
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        for number, path in ((1, SAID), (2, SAID_ERR)):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        code = 70
        try:
            code = run()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    while time.monotonic() - started < LIMIT:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _judged(code: int, untouched: bool) -> tuple[str, str]:
    """What to call the end of a case, and what is wrong with it."""
    out, err = (path.read_text(errors="replace") for path in (SAID, SAID_ERR))
    lines = err.splitlines()
    one_error = 1 <= len(lines) <= 2 and lines[0].startswith("error: ") and len(err) < 1500
    strays = {path.name for path in Path().iterdir()} - {*RUNS, *map(str, (TRIED, NEW, SAID, SAID_ERR)), "cache"}
    end = f"exit code {code}: {(lines or out.splitlines()[-3:] or [''])[-1][:300]}"
    if "Traceback" in out + err or any(c < " " and c != "\n" for c in out + err):
        return "odd", f"it printed a traceback or odd characters, {end}"
    if strays:
        return "strayed", f"it left {', '.join(sorted(strays))}"
    if code == 0:
        how = "done, with a warning" if "warning: " in out else "done"
        return how, "" if not lines else f"done, but it said {err[-300:]}"
    if code == 1:
        return "diverged", "" if one_error and "finite" in err else end
    if code == 2:
        return "refused", "" if one_error and untouched else f"checkpoints touched: {not untouched}, {end}"
    return "crashed" if code < 0 else "failed", end
