"""Trainers that run, as processes of their own: started, killed, waited for, and never left behind."""

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .traps import Trap, dump

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 120.0  # seconds that any of them may take


@dataclass
class Ended:
    """How a process ended; a negative code is a signal's."""

    code: int
    out: str
    err: str

    @property
    def reckoned(self) -> int:
        """The exit code as a shell has it."""
        return self.code if self.code >= 0 else 128 - self.code


@dataclass
class Running:
    """A trainer that has been started."""

    pid: int
    files: tuple[Path, Path]
    collect: Callable[[float], int | None]  # waits so many seconds for its exit code
    code: int | None = None

    def ended(self, limit: float = 0) -> bool:
        """Whether it has, or does within so many seconds."""
        if self.code is None:
            self.code = self.collect(limit)
        return self.code is not None

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal, if it still runs."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def wait(self, limit: float = LIMIT) -> Ended:
        """Until it has ended; one that takes too long is killed, and is an error."""
        late = not self.ended(limit)
        if late:
            self.kill()
            self.ended(LIMIT)
        out, err = (path.read_text(errors="replace") for path in self.files)
        if late or self.code is None:
            raise TimeoutError(f"a trainer did not end within {limit:.0f} s; it said:\n{out[-2000:]}\n{err[-2000:]}")
        return Ended(self.code, out, err)


class Server:
    """`server.py`, which forks trainers: one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, order: dict[str, Any], files: tuple[Path, Path]) -> Running:
        """The process that was ordered."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "server.py")],
                env=_environment(),
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # so that `select` sees every line
            )
            assert self._answer(LIMIT) == "ready"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

        def collect(limit: float) -> int | None:
            answer = self._answer(limit)
            return int(answer) if answer else None

        pid = self._answer(LIMIT)
        assert pid, "the server has ended"  # and there is no process 0 to kill
        return Running(int(pid), files, collect)

    def close(self) -> None:
        """End it; the next order starts another."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(LIMIT)
            self._process.stdout.close()
            self._process = None

    def _answer(self, limit: float) -> str | None:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], limit)[0]:
            return None
        return self._process.stdout.readline().decode().strip()


SERVER = Server()  # of all experiments, for it takes seconds to start


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("TRAINER_DATA", "HYDRA_FULL_ERROR")}
    return {**ours, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Machine:
    """Starts trainers in `folder`: fresh ones, or forked by a server, which takes a tenth of the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = str(folder / "cache")
        self.fresh = self.forked = 0
        self._numbers = itertools.count()
        self._started: list[Running] = []

    def start(
        self, *argv: str | Path, traps: tuple[Trap, ...] = (), fresh: bool = False, under: tuple[str, ...] = ()
    ) -> Running:
        """`trainer ARGV...` with `traps` laid, a fresh one `under` another program; one forked process at a time."""
        number = next(self._numbers)
        files = self.folder / f"{number}.out", self.folder / f"{number}.err"
        for file in files:  # it may be killed before it has made them
            file.touch()
        args = [str(arg) for arg in argv]
        if fresh:
            self.fresh += 1
            running = self._fresh(args, files, traps, under)
        else:
            self.forked += 1
            order = {"argv": args, "traps": dump(traps), "cwd": str(self.folder), "cache": self.cache}
            running = SERVER.start({**order, "out": str(files[0]), "err": str(files[1])}, files)
        self._started = [*(other for other in self._started if other.code is None), running]
        return running

    def run(self, *argv: str | Path, **how: Any) -> Ended:
        """The same, until it has ended."""
        return self.start(*argv, **how).wait()

    def close(self) -> None:
        """End whatever still runs."""
        for running in self._started:
            if not running.ended():
                running.kill()
                running.ended(LIMIT)

    def _fresh(
        self, args: list[str], files: tuple[Path, Path], traps: tuple[Trap, ...], under: tuple[str, ...]
    ) -> Running:
        program = [str(HERE / "traps.py"), dump(traps)] if traps else ["-m", "trainer"]
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                [*under, sys.executable, *program, *args],
                cwd=self.folder,
                env={**_environment(), "TRAINER_CACHE": self.cache},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

        def collect(limit: float) -> int | None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(limit)
            return None

        return Running(process.pid, files, collect)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Within the block, trainers run in `folder`; after it, none does."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Machine(folder)
    try:
        yield made
    finally:
        made.close()


def until(due: Callable[[], object], limit: float = LIMIT, pause: float = 0.0) -> bool:
    """Wait until `due`; whether it came about in time."""
    deadline = time.monotonic() + limit
    while not due():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
