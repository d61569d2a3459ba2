"""What happens to a trainer at one chosen call that it makes: it is killed, the call fails, the disk fills up, ...

`python traps.py JSON VERB ARGS...` is `trainer VERB ARGS...` with the traps of `JSON` laid.
"""

import builtins
import importlib
import io
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SYSTEM = ("fsync", "replace", "link", "open", "write")


@dataclass(frozen=True)
class Trap:
    """At the `at`-th call of one of `calls` whose path matches `path`, do what `does` says.

    A call is one of SYSTEM, "MODULE:CLASS.METHOD", whose path is empty, or "import", whose path is the module.
    """

    calls: tuple[str, ...]
    does: str  # kill, fail, fill, signal, wait or note; set: there is no call, a value takes the place of another
    at: int = 1
    path: str = ""
    after: bool = False  # kill: when the call has been made; a write is otherwise made by half
    every: bool = False  # also at every later call
    errno: int = 0  # fail
    signum: int = 0  # signal
    seconds: float = 0  # wait
    file: str = ""  # where sprung traps are noted, a line each; fill: in the folder of this file, until that is full
    room: int = 0  # fill: bytes that are left
    value: Any = None  # set
    count: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)


def dump(traps: tuple[Trap, ...]) -> str:
    """The traps as `lay` takes them."""
    return json.dumps([asdict(trap) for trap in traps])


def lay(text: str) -> None:
    """Lay the traps in this process."""
    for values in json.loads(text):
        trap = Trap(**values)
        for call in trap.calls:
            if call in ("open", "write"):
                _watch_files(trap, call)
            elif call == "import":
                _watch_imports(trap)
            elif call in SYSTEM:
                _wrap(os, call, trap)
            else:
                module, _, name = call.partition(":")
                owner: Any = importlib.import_module(module)
                *parents, name = name.split(".")
                for parent in parents:
                    owner = getattr(owner, parent)
                if trap.does == "set":
                    setattr(owner, name, trap.value)
                else:
                    _wrap(owner, name, trap)


_lock = threading.Lock()


def _sprung(trap: Trap, call: str, path: str) -> bool:
    if not re.search(trap.path, path):
        return False
    with _lock:
        trap.count[0] += 1
        return trap.count[0] == trap.at or (trap.every and trap.count[0] > trap.at)


def _act(trap: Trap, call: str, path: str) -> None:
    if trap.file and trap.does != "fill":
        with _plain_open(trap.file, "a") as notes:
            notes.write(f"{call} {path}\n")
    if trap.does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # it takes a moment
    elif trap.does == "fail":
        raise OSError(trap.errno, os.strerror(trap.errno), path)
    elif trap.does == "signal":
        os.kill(os.getpid(), trap.signum)
    elif trap.does == "wait":
        time.sleep(trap.seconds)
    elif trap.does == "fill":
        fill(Path(trap.file), trap.room)


def fill(ballast: Path, room: int = 0) -> None:
    """Write `ballast` until its disk is full, but for `room` bytes."""
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    os.write(handle, bytes(size))
                except OSError:
                    break
        if room:
            os.ftruncate(handle, max(0, os.fstat(handle).st_size - room))
    finally:
        os.close(handle)


def _wrap(owner: Any, name: str, trap: Trap) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        path = ""
        if name == "fsync":
            path = os.readlink(f"/proc/self/fd/{args[0]}")
        elif owner is os:
            path = os.fspath(args[1])
        sprung = _sprung(trap, name, path)
        if sprung and not trap.after:
            _act(trap, name, path)
        found = function(*args, **kwargs)
        if sprung and trap.after:
            _act(trap, name, path)
        return found

    setattr(owner, name, wrapped)


def _watch_imports(trap: Trap) -> None:
    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == "import" and _sprung(trap, event, str(args[0])):
            _act(trap, event, str(args[0]))

    sys.addaudithook(watch)


_plain_open = io.open
_files: list[tuple[Trap, str]] = []


def _watch_files(trap: Trap, call: str) -> None:
    _files.append((trap, call))
    builtins.open = io.open = _watched_open  # type: ignore[assignment]


class _Raw(io.FileIO):
    """What is written to a file, as it goes to the system."""

    def write(self, data: Any) -> int:
        for trap, call in _files:
            if call == "write" and _sprung(trap, call, str(self.name)):
                if trap.does in ("kill", "fail") and not trap.after:
                    super().write(bytes(data)[: len(data) // 2])
                elif trap.after:
                    super().write(data)
                _act(trap, call, str(self.name))
        return super().write(data)


def _watched_open(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
    if not set(mode) & set("wax+") or isinstance(file, int):
        return _plain_open(file, mode, buffering, *args, **kwargs)
    for trap, call in _files:
        if call == "open" and _sprung(trap, call, os.fspath(file)):
            _act(trap, call, os.fspath(file))
    raw = _Raw(os.fspath(file), mode.replace("b", "").replace("t", ""), opener=kwargs.pop("opener", None))
    make = io.BufferedRandom if "+" in mode else io.BufferedWriter
    buffered = make(raw, buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, *args, **kwargs)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as `python -m trainer` has it
    from trainer.cli.main import main

    lay(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
