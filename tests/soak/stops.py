"""Ctrl-C, SIGTERM and a closed terminal at every stage: nothing is lost, and the process and its workers end soon."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import resuming
import running
from processes import Ended, Machine, machine, until
from traps import Trap

from .figures import Figures, readable, the_run
from .trainings import command, undisturbed

COUNT = 40
LIMIT = 10.0  # seconds from the signal to the end
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STEP = "trainer.engine.steps.eager:EagerStep.__call__"
EVALUATED = "trainer.engine.metrics:Classification.update"  # a batch
SPARE = ("checkpoint.every_steps=null", "checkpoint.every_minutes=null")  # nothing is saved but at the end
IMPORTED = (
    *("hydra", "numpy", "numpy._core._multiarray_umath", "torch._C", "torch", "omegaconf.dictconfig", "PIL.Image"),
    *("tensorboard.compat.proto.event_pb2", "rich.console", "torch.optim"),
)
SETUP = ("data.eval_batch_size=1", "data.val_fraction=0.3", "data.limit=60")


@dataclass(frozen=True)
class Case:
    """Where a signal comes, or two; the steps that must be in last.pt then."""

    name: str
    traps: tuple[Trap, ...]
    more: tuple[str, ...] = ()
    steps: int | None = None
    evaluated: int | None = None  # batches, at most
    again: bool = False  # the second signal: what was last saved is what there is


def cases(signum: int, notes: Path, batches: int) -> list[Case]:
    """All but those at start-up and in a download; a whole training evaluates so many `batches`, 60 in its test."""

    def stop(*calls: str, at: int = 1, path: str = "") -> Trap:
        return Trap(calls, "signal", at, path, signum=signum, file=str(notes))

    def slow(*calls: str, seconds: float, at: int = 1, path: str = "") -> Trap:
        return Trap(calls, "wait", at, path, seconds=seconds, every=True)

    part = r"/\.last\.pt\.part$"
    end = "trainer.run.hooks.checkpoints:Checkpoints.on_end"
    test = batches - 60
    return [
        Case("assembling", (stop("trainer.run.parts:Parts.__init__"),)),
        Case("opening", (stop("trainer.run.training:Training._table"),)),
        Case("training", (stop(STEP, at=5),), SPARE, 5),
        Case("the first step", (stop(STEP),), SPARE, 1),
        Case("evaluation", (slow(EVALUATED, seconds=0.3), stop(EVALUATED, at=3)), SPARE, 3, 4),
        Case("saving", (stop("fsync", at=3, path=part),)),
        Case("a slow save", (slow("fsync", seconds=0.3, path=part), stop("fsync", at=2, path=part))),
        Case("testing", (slow(EVALUATED, seconds=0.3, at=test), stop(EVALUATED, at=test + 3)), (), 12, test + 4),
        Case("drawing", (stop("trainer.show.rendering:render", at=2),), ("plots=true",), 12),
        Case("drawing, within", (stop("matplotlib.axes:Axes.set_xlabel"),), ("plots=true",), 12),
        Case("closing", (stop("trainer.run.training:Training.close"),), (), 12),
        Case("twice, before the save", (stop(STEP, at=5), stop(end)), SPARE, again=True),
        Case(
            "twice, within a slow save",
            (stop(STEP, at=5), slow("fsync", seconds=3, at=2, path=part), stop("fsync", at=2, path=part)),
            SPARE,
            again=True,
        ),
    ]


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Every stage with every signal, `count` random moments of starting up, downloads and workers."""
    figures, dice = Figures({"signals": 0, "slowest end, s": 0}), random.Random(0)
    sample = count < COUNT
    with machine(folder) as trainers:
        counted = folder / "batches"
        whole = undisturbed(trainers, "mlp", *SETUP)
        trainers.run(*command("mlp"), *SETUP, f"output={folder / 'n'}", traps=(_note(EVALUATED, counted),))
        batches = len(counted.read_text().splitlines())
        for number, signum in enumerate(SIGNALS):
            chosen = cases(signum, folder / f"signalled-{signum}", batches)
            if sample:  # matplotlib takes seconds to import
                chosen = [case for case in chosen if "plots=true" not in case.more][number :: 2 * len(SIGNALS)]
            for case in chosen:
                _staged(trainers, case, signum, whole, figures)
            say(f"{signal.Signals(signum).name}: {figures.counts['signals']:.0f} signals")
        for number in range(count):
            _starting(trainers, SIGNALS[number % 2], dice.uniform(0.0, 2.5), whole, figures)
        for number, module in enumerate(IMPORTED):
            for signum in SIGNALS[number % 3 :: 3] if sample else SIGNALS:
                if not sample or number == 1:
                    _importing(trainers, signum, module, figures)
        say("start-up")
        for signum in SIGNALS[:1] if sample else SIGNALS:
            _downloading(trainers, signum, figures)
        say("download")
        for signum in (signal.SIGKILL,) if sample else (signal.SIGKILL, *SIGNALS):
            _streaming(trainers, signum, figures)
        if not sample:  # which runs beside other tests
            _without_a_terminal(trainers, figures)
            figures.expect(figures.counts["slowest end, s"] < LIMIT, "a process took too long to end")
    return figures


def _note(call: str, notes: Path) -> Trap:
    return Trap((call,), "note", every=True, file=str(notes))


def _staged(trainers: Machine, case: Case, signum: int, whole: Path, figures: Figures) -> None:
    what = f"{signal.Signals(signum).name} while {case.name}"
    output = trainers.folder / f"{case.name.replace(' ', '-').replace(',', '')}-{signum}"
    counted = output.with_suffix(".batches")
    noted = Path(next(trap.file for trap in case.traps if trap.does == "signal"))
    noted.unlink(missing_ok=True)
    ended = trainers.run(
        *command("mlp"), *SETUP, *case.more, f"output={output}", traps=(_note(EVALUATED, counted), *case.traps)
    )
    now = time.time()
    if not noted.exists():
        figures.misses.append(f"{what}: it did not come to that: {ended.code} {ended.err}")
        return
    run = _expect_stopped(ended, output, signum, now - noted.stat().st_mtime, what, figures)
    if case.evaluated is not None:
        done = len(counted.read_text().splitlines()) if counted.exists() else 0
        figures.expect(done <= case.evaluated, f"{what}: {done} batches were evaluated, not {case.evaluated} at most")
    if run is None or not (run / "checkpoints" / "last.pt").exists():
        return
    _expect_saved(run, case, what, figures)
    resumed = trainers.run("resume", str(run))
    figures.expect(resumed.code == 0, f"{what}: the resume ended with {resumed.code}: {resumed.err}")
    figures.expect_equal(whole, run, what)


def _expect_stopped(
    ended: Ended, output: Path, signum: int, seconds: float, what: str, figures: Figures
) -> Path | None:
    """The run directory, if there is one already."""
    figures.add("signals")
    figures.counts["slowest end, s"] = max(figures.counts["slowest end, s"], round(seconds, 1))
    figures.expect(ended.reckoned == 128 + signum, f"{what}: exit code {ended.code}, {ended.err!r}")
    figures.expect("Traceback" not in ended.err, f"{what}: it said {ended.err!r}")
    run = the_run(output)
    if run is None or not (run / "result.json").exists():
        return run
    status = running.result(run)["status"]
    figures.expect(status == "interrupted", f"{what}: the status is {status}")
    if (run / "checkpoints" / "last.pt").exists():
        figures.expect("trainer resume" in ended.err, f"{what}: no word of how to go on: {ended.err!r}")
    return run


def _expect_saved(run: Path, case: Case, what: str, figures: Figures) -> None:
    last = run / "checkpoints" / "last.pt"
    figures.expect(readable(last), f"{what}: last.pt cannot be read")
    figures.expect_tidy(run, what)
    if case.again:
        return
    step = running.checkpoint(run)["step"]
    figures.add("steps lost", 0 if case.steps is None else case.steps - step)
    figures.expect(case.steps in (None, step), f"{what}: last.pt is of step {step}, not {case.steps}")
    drawn = {at for at, tag, _ in resuming.scalars(run) if tag == "loss/within_epochs"}
    figures.expect(drawn >= set(range(1, step + 1)), f"{what}: TensorBoard has only {len(drawn)} of {step} steps")


def _starting(trainers: Machine, signum: int, delay: float, whole: Path, figures: Figures) -> None:
    """A signal so many seconds after the process has been started."""
    what = f"{signal.Signals(signum).name} {delay:.2f} s after the start"
    output = trainers.folder / f"started-{trainers.fresh}"
    trainer = trainers.start(*command("mlp"), *SETUP, "epochs=1000", *SPARE, f"output={output}", fresh=True)
    until(trainer.ended, delay, pause=0.01)
    training = _saved(output)
    figures.add("signals while training" if training else "signals while starting up")
    trainer.kill(signum)
    sent = time.time()
    ended = trainer.wait()
    if not training and ended.code in (-signal.SIGINT, -signal.SIGTERM):  # Python itself was not up yet
        figures.add("before the program")
        ended.err = ""
    stopped = _expect_stopped(ended, output, signum, time.time() - sent, what, figures)
    if stopped is not None:
        figures.expect_tidy(stopped, what)
    shutil.rmtree(output, ignore_errors=True)


def _importing(trainers: Machine, signum: int, module: str, figures: Figures) -> None:
    """A signal just when something is imported: an exception may be taken for a part that is missing."""
    what = f"{signal.Signals(signum).name} while {module} is imported"
    output = trainers.folder / f"imported-{module}-{signum}"
    noted = output.with_suffix(".noted")
    trap = Trap(("import",), "signal", path=f"^{re.escape(module)}$", signum=signum, file=str(noted))
    ended = trainers.run(*command("mlp"), *SETUP, f"output={output}", traps=(trap,), fresh=True)
    seconds = time.time() - noted.stat().st_mtime if noted.exists() else 0.0
    figures.expect(noted.exists(), f"{what}: it is not imported")
    figures.add("signals within an import")
    _expect_stopped(ended, output, signum, seconds, what, figures)


def _downloading(trainers: Machine, signum: int, figures: Figures) -> None:
    """A server that accepts, and never answers."""
    what = f"{signal.Signals(signum).name} in a download"
    root, output = trainers.folder / f"root-{signum}", trainers.folder / f"downloaded-{signum}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        mirror = Trap(("torchvision.datasets.mnist:MNIST.mirrors",), "set", value=[url])
        trainer = trainers.start("train", "data=mnist", f"data.root={root}", f"output={output}", traps=(mirror,))
        with server.accept()[0]:
            time.sleep(0.2)
            trainer.kill(signum)
            sent = time.time()
            ended = trainer.wait()
    _expect_stopped(ended, output, signum, time.time() - sent, what, figures)
    left = [path.name for path in root.rglob("*")] if root.exists() else []
    figures.expect(not left, f"{what}: left {', '.join(left)}")


def _streaming(trainers: Machine, signum: int, figures: Figures) -> None:
    """A signal to a training with two workers: as Ctrl-C, to the whole group; SIGKILL to the parent alone."""
    what = f"{signal.Signals(signum).name} with two workers"
    output = trainers.folder / f"workers-{signum}"
    asked = (*command("streamed"), "data.workers=2", "epochs=1000", *SPARE, f"output={output}")
    trainer = trainers.start(*asked, fresh=True)
    came = until(lambda: trainer.ended() or (len(_children(trainer.pid)) >= 2 and _saved(output)), 60, pause=0.02)
    time.sleep(0.3)
    workers = _children(trainer.pid)
    figures.expect(came and len(workers) >= 2, f"{what}: there were {len(workers)} workers")
    if signum == signal.SIGKILL:
        trainer.kill()
    else:
        os.killpg(trainer.pid, signum)
    sent = time.time()
    ended = trainer.wait()
    if signum != signal.SIGKILL:
        run = _expect_stopped(ended, output, signum, time.time() - sent, what, figures)
        figures.expect(run is not None and readable(run / "checkpoints" / "last.pt"), f"{what}: no checkpoint")
    gone = until(lambda: not any(map(_alive, workers)), 5, pause=0.02)
    figures.add("workers", len(workers))
    figures.expect(gone, f"{what}: workers outlive their parent")
    for worker in filter(_alive, workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def _without_a_terminal(trainers: Machine, figures: Figures) -> None:
    """`nohup` lets a training outlive its terminal."""
    output = trainers.folder / "nohup"
    trainer = trainers.start(*command("mlp"), "epochs=60", f"output={output}", fresh=True, under=("nohup",))
    came = until(lambda: trainer.ended() or _saved(output), 60, pause=0.01)
    figures.expect(came and not trainer.ended(), "nohup: it was over before the signal")
    trainer.kill(signal.SIGHUP)
    ended = trainer.wait()
    figures.expect(ended.code == 0, f"SIGHUP with nohup: exit code {ended.code}, {ended.err!r}")


def _saved(output: Path) -> bool:
    run = the_run(output)
    return run is not None and (run / "checkpoints" / "last.pt").exists()


def _children(parent: int) -> list[int]:
    return [pid for pid, above in _processes() if above == parent]


def _alive(pid: int) -> bool:
    return any(other == pid for other, _ in _processes())


def _processes() -> Iterator[tuple[int, int]]:
    """Process ids and their parents', without zombies."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(path.parent.name), int(parent)
