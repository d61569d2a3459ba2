"""The honest directories, made once with the real program: interrupted and finished runs, sweeps and a search."""

import signal
from dataclasses import dataclass
from pathlib import Path

from processes import Machine, machine
from traps import Trap

STEP = "trainer.engine.steps.eager:EagerStep.__call__"
QUICK = ("data=diabetes", "model=linear", "plots=false", "device=cpu")
SWEPT = (*QUICK, "epochs=2", "tensorboard.enabled=false", "name=honest")
RANGE = "optim.lr=tag(log,interval(1e-4,1))"
TRAINED = {
    "run": ("train", *QUICK, "epochs=3"),
    "sweep": ("train", "-m", *SWEPT, "optim.lr=0.1,0.01,0.001"),
    "search": ("train", "-m", *SWEPT, RANGE, "search=optuna", "search.trials=3", "search.startup=2"),
}
INTERRUPTED = {"run": 14, "sweep": 32, "search": 32}  # at this step; the first job of a sweep is done then


@dataclass(frozen=True)
class Tree:
    """A directory as it was: its folders, and its files' contents."""

    folders: tuple[str, ...]
    files: dict[str, bytes]

    @classmethod
    def of(cls, directory: Path) -> "Tree":
        paths = sorted(directory.rglob("*"))
        files = {str(p.relative_to(directory)): p.read_bytes() for p in paths if not p.is_dir()}
        return cls(tuple(str(p.relative_to(directory)) for p in paths if p.is_dir()), files)

    def write(self, directory: Path) -> None:
        """Make it anew."""
        directory.mkdir(parents=True)
        for folder in self.folders:
            (directory / folder).mkdir()
        for name, content in self.files.items():
            (directory / name).write_bytes(content)

    @property
    def events(self) -> str:
        """The name of the run's event file."""
        return next(name for name in self.files if "events.out" in name)


def made(folder: Path) -> dict[str, Tree]:
    """Train them; by names such as `sweep`, which was interrupted, and `finished sweep`."""
    found = {}
    with machine(folder) as trainers:
        for name, command in TRAINED.items():
            for finished in (True, False):
                top = f"finished-{name}" if finished else name
                found[top.replace("-", " ")] = Tree.of(_trained(trainers, command, name, top, finished))
    return found


def _trained(trainers: Machine, command: tuple[str, ...], name: str, top: str, finished: bool) -> Path:
    at = INTERRUPTED[name]
    traps = () if finished else (Trap((STEP,), "signal", at=at, signum=signal.SIGINT),)
    ended = trainers.run(*command, f"output={top}", traps=traps)
    assert ended.code == (0 if finished else 130), ended.err
    (made,) = trainers.folder.glob(f"{top}/sweeps/*/*" if name != "run" else f"{top}/*/*")
    return made
