"""Commands as processes of their own: started, watched, signalled, waited for, and never left behind.

Most are forked by `fork_server.py`, where torch is imported already: they begin at once, and a fresh one takes seconds.
All else about them is real: their process group, environment, directory, streams, signals and exit code.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from traps import Trap, dump

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIMIT = 240.0  # seconds that any of them may take: only one that hangs does, however busy the machine


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
    """A process that has been started, the leader of its own group."""

    pid: int
    streams: tuple[IO[bytes], IO[bytes]]
    collect: Callable[[float], int | None]  # waits so many seconds for its exit code
    code: int | None = None
    _said: tuple[str, str] = ("", "")

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._said[0] if self.code is not None else _text(self.streams[0])

    @property
    def err(self) -> str:
        """What it has said to standard error so far."""
        return self._said[1] if self.code is not None else _text(self.streams[1])

    def ended(self, limit: float = 0) -> bool:
        """Whether it has, or does within so many seconds."""
        if self.code is None and (code := self.collect(limit)) is not None:
            self._said, self.code = (self.out, self.err), code
            for stream in self.streams:
                stream.close()
        return self.code is not None

    def send(self, signum: int, group: bool = False) -> None:
        """Send a signal to it, or to all processes of its group, if it still runs."""
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.pid, signum)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """The same, to it alone."""
        self.send(signum)

    def leaves_nobody(self, limit: float = 20) -> bool:
        """Whether all processes of its group end, once it has ended itself."""
        return until(lambda: not self._group(), limit, pause=0.01)

    def _group(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def until(self, due: Callable[[], object], limit: float = LIMIT) -> None:
        """Wait until `due`, while it runs; an error if it ends, or takes too long."""
        came = until(lambda: due() or self.ended(), limit, pause=0.01)
        if not came or not due():
            self.kill()
            raise AssertionError(f"it did not come to that; it said:\n{self.out[-2000:]}\n{self.err[-2000:]}")

    def until_said(self, pattern: str, limit: float = LIMIT) -> None:
        """Wait until a line of what it prints begins with `pattern`."""
        self.until(lambda: re.search(f"^{pattern}", self.out, re.MULTILINE), limit)

    def wait(self, limit: float = LIMIT) -> Ended:
        """Until it has ended; one that takes too long is killed, and is an error."""
        late = not self.ended(limit)
        if late:
            self.send(signal.SIGKILL, group=True)
            self.ended(LIMIT)
        if late or self.code is None:
            raise TimeoutError(
                f"a process did not end in {limit:.0f} s; it said:\n{self.out[-2000:]}\n{self.err[-2000:]}"
            )
        return Ended(self.code, self.out, self.err)


def _text(stream: IO[bytes]) -> str:
    return os.pread(stream.fileno(), os.fstat(stream.fileno()).st_size, 0).decode(errors="replace")


class Server:
    """`fork_server.py`, started with the first order."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def start(self, order: dict[str, Any], streams: list[int]) -> tuple[int, Callable[[float], int | None]]:
        """The process id of what was ordered, and what waits for its exit code."""
        if self._process is None:
            self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "fork_server.py"), str(theirs.fileno())],
                cwd=ROOT,
                env=_environment(),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
            theirs.close()
        assert self._orders is not None
        answers, answer = os.pipe()
        socket.send_fds(self._orders, [json.dumps(order).encode()], [*streams, answer])
        os.close(answer)
        lines = open(answers, "rb", buffering=0)  # noqa: SIM115 -- `select` is to see every line

        def collect(limit: float) -> int | None:
            if not select.select([lines], [], [], limit)[0]:
                return None
            line = lines.readline()
            assert line, "the server has ended"  # and there is no process 0 to kill
            return int(line)

        def end(limit: float) -> int | None:
            code = collect(limit)
            if code is not None:
                lines.close()
            return code

        pid = collect(LIMIT)
        assert pid is not None, "the server does not answer"
        return pid, end

    def close(self) -> None:
        """End it; the next order starts another."""
        if self._process is not None and self._orders is not None:
            self._orders.close()
            self._process.wait(LIMIT)
            self._process = self._orders = None


SERVER = Server()  # of all tests of this process, for it takes seconds to start


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("TRAINER_DATA", "HYDRA_FULL_ERROR")}
    return {**ours, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@dataclass
class Machine:
    """Starts processes in `folder`, forked ones where nothing else is asked for."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    fresh: int = 0
    forked: int = 0
    _started: list[Running] = field(default_factory=list)

    def start(
        self,
        *argv: str | Path,
        code: str | None = None,
        traps: tuple[Trap, ...] = (),
        fresh: bool = False,
        under: tuple[str, ...] = (),
        stdout: int | None = None,
        stderr: int | None = None,
        **environment: str,
    ) -> Running:
        """`trainer ARGV...`, or `python -c CODE ARGV...`, with `traps` laid; a fresh one `under` another program.

        What it prints is kept for `Running.out` and `Running.err`, unless a file is given for it.
        """
        args = [str(arg) for arg in argv]
        kept = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        given = zip((stdout, stderr), kept, strict=True)
        handles = [file.fileno() if handle is None else handle for handle, file in given]
        environment = {**_environment(), **self.environment, **environment}
        if fresh or under or sys.platform != "linux":
            self.fresh += 1
            program = ["-c", code] if code is not None else ["-m", "trainer"]
            if traps:
                assert code is None
                program = [str(HERE / "traps.py"), dump(traps)]
            process = subprocess.Popen(
                [*under, sys.executable, *program, *args],
                cwd=self.folder,
                env=environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=handles[0],
                stderr=handles[1],
            )

            def collect(limit: float) -> int | None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(limit)
                return None

            running = Running(process.pid, kept, collect)
        else:
            self.forked += 1
            order = {"code": code, "argv": args, "traps": dump(traps), "cwd": str(self.folder)}
            with open(os.devnull, "rb") as nothing:
                started = SERVER.start({**order, "environment": environment}, [nothing.fileno(), *handles])
            running = Running(started[0], kept, started[1])
        self._started = [*(other for other in self._started if other.code is None), running]
        return running

    def run(self, *argv: str | Path, **how: Any) -> Ended:
        """The same, until it has ended."""
        return self.start(*argv, **how).wait()

    def close(self) -> None:
        """End whatever still runs."""
        for running in self._started:
            running.send(signal.SIGKILL, group=True)
            running.ended(LIMIT)


@contextlib.contextmanager
def machine(folder: Path, **environment: str) -> Iterator[Machine]:
    """Within the block, processes run in `folder`; after it, none does."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Machine(folder, {"TRAINER_CACHE": str(folder / "cache"), **environment})
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
