"""`python hostile_child.py FOLDER`: `trainer eval ckpt=FILE` of each file in it, in one process, and what that took.

A line of JSON per file: exit code, what was on screen, seconds of CPU, MiB of memory, and what was done that evaluation
has no need of: programs started, connections opened, modules imported from elsewhere, files read or written elsewhere.
Composing the config takes longest and is the same for all: it is done once, and anew only for files called `*.full`.
"""

import codecs
import contextlib
import copy
import copyreg
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from trainer import data, models
from trainer.cli import main as cli
from trainer.commands import eval as eval_command
from trainer.data import folder as data_folder
from trainer.data import sets
from trainer.data import table as data_table

FORBIDDEN = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill", "os.chmod"),
    *("os.rename", "os.remove", "os.symlink", "os.link", "os.truncate", "pty.spawn", "webbrowser.open"),
    *("subprocess.Popen", "ctypes.dlopen", "marshal.loads", "pickle.find_class"),
    *("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request"),
)


class Watch:
    """Notes what happens while a file is evaluated (Python's audit events)."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        self.imported: set[str] = set()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in FORBIDDEN:
            self.seen.append(f"{event} {args[:1]}"[:200])
        if event == "open" and isinstance(args[0], str) and (_writes(args) or "elsewhere" in args[0]):
            self.seen.append(f"open {args[0]} {args[1]}")
        if event == "import":
            self.imported.add(args[0])


def _writes(args: tuple[Any, ...]) -> bool:
    return bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def peak() -> float:
    """MiB of the largest size since `forget`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def forget() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Composed:
    """The config of the first evaluation, before it was completed from a checkpoint."""

    def __init__(self) -> None:
        self.config: Any = None
        self.full, self.command = cli._run, eval_command.run

    def keep(self, config: Any) -> Any:
        self.config = self.config or copy.deepcopy(config)
        return self.command(config)

    def run(self, verb: str, args: list[str]) -> int:
        path = args[0].removeprefix("ckpt=")
        if self.config is None or path.endswith(".full"):
            return self.full(verb, args)
        config = copy.deepcopy(self.config)
        config.ckpt = path
        self.command(config)
        return 0


def evaluate(path: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(["eval", f"ckpt={path}"])
        except BaseException as error:
            code, _ = -1, print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return code, out.getvalue(), err.getvalue()


def run(folder: Path) -> None:
    warnings.simplefilter("error")
    copyreg.add_extension("os", "system", 240)
    watch, composed = Watch(), Composed()
    cli._run, eval_command.run = composed.run, composed.keep  # type: ignore[assignment]
    for encoding in ("cp437", "latin1"):  # zipfile and pickles use them
        codecs.lookup(encoding)
    for package in (models, data, sets, data_table, data_folder):  # a description may name their modules
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for library in ("torchvision", "timm"):  # and the networks of libraries
        importlib.import_module(library)
    sys.addaudithook(watch)
    files = sorted(folder.iterdir(), key=lambda path: (path.name != "honest", path.name))
    for path in files:
        forget()
        before, started, known = peak(), time.process_time(), set(sys.modules)
        watch.seen, watch.imported, watch.on = [], set(), path.name != "honest"
        code, out, err = evaluate(path)
        watch.on = False
        done = {
            "name": path.name,
            "code": code,
            "out": out,
            "err": err,
            "seconds": time.process_time() - started,
            "mib": peak() - before,
            "seen": watch.seen,
            "imported": sorted(set(sys.modules) - known),
        }
        print(json.dumps(done), flush=True)
        if path.name == "honest":
            gc.freeze()  # what was imported need not be looked through again for each file


if __name__ == "__main__":
    # A guard for the machine, far above what is asserted.
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**36, size + 2**36))
    run(Path(sys.argv[1]))
