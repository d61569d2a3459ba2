"""Runs a command on a hostile directory, and judges what it did: said, wrote, started, read, took."""

import json
import os
import shutil
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import ROOT

from .bases import Tree

SECRET = "hunter2-in-the-environment"
PRIVATE = "swordfish-in-another-folder"
MODULE = "hostile_module"  # in the user's folder: a stranger's file may not import it
CODES = (0, 1, 2, 130, 143)
SAID = 4000  # characters on standard error
MIB = 3000  # of memory: what is imported takes 700
LARGE = 1 << 22  # bytes: larger files are not searched for the secrets


@dataclass(frozen=True)
class Place:
    """Where a case happens: the hostile directory, the user's current folder, which it lies in, and one elsewhere."""

    it: Path
    here: Path
    outside: Path

    def __truediv__(self, name: str) -> Path:
        return self.it / name

    def write(self, name: str, content: str | bytes) -> None:
        """Put a file into the directory."""
        encoded = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        (self.it / name).write_bytes(encoded)

    def remove(self, name: str) -> None:
        """Take a file or a folder out of it."""
        path = self.it / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


Maker = Callable[[Place], None]


@dataclass
class Outcome:
    """What a command did; `faults` are those of it that it should not have done."""

    argv: list[str]
    code: int | None
    seconds: float
    mib: float
    out: str
    err: str
    faults: list[str] = field(default_factory=list)


class Arena:
    """A folder in which one case after the other happens."""

    def __init__(self, folder: Path, bases: dict[str, Tree]) -> None:
        self.folder, self.bases = folder, bases
        self.place = Place(folder / "here" / "given", folder / "here", folder / "outside")
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """End the process that runs the commands."""
        if self._process is not None:
            with self._process as process:  # waits for its end
                assert process.stdin is not None
                process.stdin.close()
            self._process = None

    def run(self, base: str, hostile: Maker, *words: str) -> Outcome:
        """A fresh copy of the base is made hostile, and a command is run on it; `IT` in its words is the directory.

        Commands share a process, since starting one takes longest. What does harm is tried again in one of its own.
        """
        done = self._run(base, hostile, words, alone=False)
        again = done.faults and done.code is not None
        return self._run(base, hostile, words, alone=True) if again else done

    def _run(self, base: str, hostile: Maker, words: tuple[str, ...], alone: bool) -> Outcome:
        if self._process is None:
            self._start()
        self._prepare(base)
        hostile(self.place)
        outside, logged = _state(self.place.outside), _log(self.place.it)
        argv = [word.replace("IT", "given") for word in words]
        answer = self._order(
            {
                "argv": argv,
                "cwd": str(self.place.here),
                "inside": [str(path) for path in self._own(argv)],
                "private": [str(self.place.outside)],
                "environment": self._environment(),
                "alone": alone,
                **{name: str(self.folder / name) for name in ("out", "err", "notes")},
            }
        )
        out, err = ((self.folder / name).read_bytes() for name in ("out", "err"))
        done = Outcome(argv, answer["code"], answer["seconds"], answer["mib"], _text(out), _text(err))
        done.faults = [f"it did: {seen}" for seen in answer["seen"]]
        if done.code is None:
            done.faults.append("it hung")
        elif done.code not in CODES:
            done.faults.append(f"exit code {done.code}")
        if done.mib > MIB:
            done.faults.append(f"it took {done.mib:.0f} MiB")
        done.faults += _said(done, _log(self.place.it)[len(logged) :])
        done.faults += self._changed(outside, argv)
        done.faults += self._leaked(out + err)
        return done

    def _own(self, argv: list[str]) -> list[Path]:
        """Where a command may write."""
        runs = [self.place.here / "runs"] if argv[0] == "train" else []
        return [self.place.it, self.folder / "cache", self.folder / "tmp", *runs]

    def _prepare(self, base: str) -> None:
        for path in (self.place.here, self.place.outside):
            if path.exists():
                _remove(path)
        self.place.here.mkdir()
        (self.place.here / f"{MODULE}.py").write_text("open('canary', 'w').close()\n")
        self.bases[base].write(self.place.it)
        folder = self.place.outside / "folder"
        folder.mkdir(parents=True)
        (self.place.outside / "bashrc").write_text("export PS1='$ '\n")
        (self.place.outside / "private.csv").write_text(f"x,y\n{PRIVATE},1\n{PRIVATE},2\n")
        for name in ("a.txt", ".b.part", "events.out.tfevents.1.theirs", "last.pt"):
            (folder / name).write_text("theirs\n")
        (self.place.outside / "empty").mkdir()

    def _environment(self) -> dict[str, str]:
        programs = self.folder / "bin"
        if not programs.exists():
            programs.mkdir()
            for name in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sacct"):
                (programs / name).write_text(f"#!/bin/sh\ntouch {self.folder}/here/canary\n")
                (programs / name).chmod(0o755)
        (self.folder / "tmp").mkdir(exist_ok=True)
        return {
            "SECRET": SECRET,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "TRAINER_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.folder / "tmp"),
        }

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=_without_users_own() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        self._prepare("finished run")
        for argv in (["train", "--cfg", "job"], ["resume", str(self.place.it)], ["eval", f"ckpt={self.place.it}"]):
            self._order({"warm": argv})

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(order), file=process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def _changed(self, outside: dict[str, Any], argv: list[str]) -> list[str]:
        found, now = [], _state(self.place.outside)
        for name in sorted({*outside, *now}):
            if outside.get(name) != now.get(name):
                what = "removed" if name not in now else "made" if name not in outside else "changed"
                found.append(f"{what} outside: {name}")
        expected = {"given", f"{MODULE}.py", *(["runs"] if argv[0] == "train" else [])}
        found += [f"made here: {name}" for name in sorted(set(os.listdir(self.place.here)) - expected)]
        return found

    def _leaked(self, said: bytes) -> list[str]:
        tokens = {"the environment": SECRET.encode(), "another folder's file": PRIVATE.encode()}
        places = {"the screen": said}
        for path in (p for top in (self.place.it, self.place.here / "runs") for p in _files(top)):
            if path.lstat().st_size <= LARGE:
                places[path.name] = path.read_bytes()
        return [
            f"{what} shows in {where}"
            for what, token in tokens.items()
            for where, text in places.items()
            if token in text
        ]


def _without_users_own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("TRAINER_DATA", "HYDRA_FULL_ERROR")}


def _text(said: bytes) -> str:
    return said.decode("utf-8", "surrogateescape")


def _log(directory: Path) -> str:
    """What train.log says, where there is an ordinary one."""
    path = directory / "train.log"
    ordinary = not directory.is_symlink() and path.exists() and stat.S_ISREG(path.lstat().st_mode)
    return _text(path.read_bytes()) if ordinary and path.lstat().st_size <= LARGE else ""


def _said(done: Outcome, logged: str) -> list[str]:
    found = []
    for where, text in (("standard output", done.out), ("standard error", done.err), ("train.log", logged)):
        if "Traceback" in text:
            found.append(f"a traceback on {where}: {text.strip().splitlines()[-1][:200]}")
        odd = sorted({c for c in text if c not in "\n\r\t" and unicodedata.category(c) in ("Cc", "Cs", "Cf")})
        if odd:
            found.append(f"control characters on {where}: {odd[:5]}")
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    if done.code == 2 and not 1 <= len(lines) <= 3:
        found.append(f"{len(lines)} lines for a mistake")
    if done.code == 2 and not any(line.startswith("error: ") for line in lines):
        found.append("exit code 2 without an error")
    if len(done.err) > SAID:
        found.append(f"{len(done.err):,} characters on standard error")
    return found


def _files(top: Path) -> list[Path]:
    """The ordinary files below `top`, no links."""
    found = []
    for folder, _, names in os.walk(top):
        paths = [Path(folder) / name for name in names]
        found += [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]
    return found


def _state(top: Path) -> dict[str, Any]:
    """Names, kinds, times and contents of everything below `top`."""
    found: dict[str, Any] = {}
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder) / name
            status = path.lstat()
            small = stat.S_ISREG(status.st_mode) and status.st_size <= LARGE
            # Reading a folder's names is no change of it, but what is made and removed again is.
            found[str(path.relative_to(top))] = (
                status.st_mode,
                status.st_size,
                status.st_mtime_ns,
                path.read_bytes() if small else b"",
            )
    return found


def _remove(path: Path) -> None:
    for folder, folders, _ in os.walk(path):
        for name in folders:
            inner = Path(folder) / name
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(path)
