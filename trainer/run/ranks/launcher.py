"""Starts the ranks of a task on this machine, and watches them until the last one has ended.

torch's own launcher (`torch.distributed.elastic`) is not used. It imports torch in one more process; it ends the others
by SIGTERM as soon as one fails, so that rank 0 cannot tell a lost rank from a command that was told to stop; and it
sends Ctrl-C again to processes that have it already, whom a second one ends without a checkpoint.
"""

import os
import signal
import socket
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trainer.run import records
from trainer.run.ranks.rank import Handle, Order, Task, serve
from trainer.run.ranks.watch import Watch
from trainer.show.report import Report
from trainer.system import forking
from trainer.system.errors import StorageError, TrainerError, TrainingFailedError
from trainer.system.machine import cores
from trainer.system.paths import argument
from trainer.system.seats import LOOPBACK, Seat
from trainer.system.signals import ENDING, handled

PRELOADED = ("trainer.run.ranks.preload", "trainer.run.hooks.tensorboard")
SUSPENDING = [signal.SIGTSTP] if hasattr(signal, "SIGTSTP") else []
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def warm() -> None:
    """Begin to import what ranks need, while the command is read."""
    forking.start(*PRELOADED)


def launched(
    task: Task,
    size: int,
    gpus: Sequence[str],
    heading: tuple[str, str],
    said: Sequence[str],
    screen: Report,
    meanwhile: Callable[[], None] = lambda: None,
) -> Any:
    """Do a task on `size` ranks, each with one of the `gpus` where there are any; what rank 0 has come to.

    `heading` and `said` are on the `screen` already. `meanwhile` is called now and then.

    Raises:
        TrainerError: A rank has failed, or was lost; all have ended.
    """
    crew = Crew(task, size)
    try:
        with screen.doing(f"starting {size} ranks"):
            crew.start(gpus, heading, said)
            while not (crew.watch.met or crew.watch.ended):  # a signal ends them: they have done nothing yet
                crew.look()
        crew.answer("go on")
        with handled(crew.pass_on, *ENDING), handled(crew.suspend, *SUSPENDING):
            while not crew.watch.over:
                crew.look()
                meanwhile()
    finally:
        crew.close()
    return crew.outcome()


class Crew:
    """The processes of the ranks."""

    def __init__(self, task: Task, size: int) -> None:
        self.task, self.size = task, size
        self.watch = Watch(size, getattr(task.config, "rank_timeout", None))
        self.channels: list[Connection] = []
        self.processes: list[BaseProcess] = []

    def start(self, gpus: Sequence[str], heading: tuple[str, str], said: Sequence[str]) -> None:
        """Start them all, which meet at a port of the loopback address that is open already."""
        context: Any = forking.start(*PRELOADED)
        given = os.environ.get(THREADS[0], "")
        threads = max(1, (int(given) if given.isdecimal() and int(given) else cores()) // self.size)
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
        with socket.socket() as meeting:
            meeting.bind((LOOPBACK, 0))
            meeting.listen(self.size)
            for rank in range(self.size):
                ours, theirs = context.Pipe()
                order = Order(
                    task=self.task,
                    seat=Seat(rank, self.size, rank, LOOPBACK, meeting.getsockname()[1]),
                    environment=environment | ({"CUDA_VISIBLE_DEVICES": gpus[rank]} if gpus else {}),
                    threads=threads,
                    streams=[Handle(number) for number in range(3)],
                    channel=theirs,
                    launcher=os.getpid(),
                    listening=None if rank else meeting,
                    heading=heading,
                    said=[*said],
                )
                process = context.Process(target=serve, args=(order,), name=f"rank {rank}")
                with _without_script():
                    process.start()
                theirs.close()
                self.channels.append(ours)
                self.processes.append(process)

    def pass_on(self, signum: int) -> None:
        """A signal is for rank 0, which tells the others."""
        if self.processes and self.processes[0].exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(self.processes[0].pid or 0, signum)

    def suspend(self, signum: int) -> None:
        """Ctrl-Z stops all, until the shell lets them go on."""
        for process in (each for each in self.processes if each.exitcode is None):
            os.kill(process.pid or 0, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        for process in (each for each in self.processes if each.exitcode is None):
            os.kill(process.pid or 0, signal.SIGCONT)

    def look(self) -> None:
        """Wait until a rank says something, or half a second, and do what is to be done then."""
        watch = self.watch
        running = [rank for rank in range(self.size) if rank not in watch.gone]
        heard = [self.channels[rank] for rank in running if not self.channels[rank].closed]
        wait([*heard, *(self.processes[rank].sentinel for rank in running)], 0.5)
        for rank in running:
            code = self.processes[rank].exitcode  # first: what it has said by then is heard after it
            self._hear(rank)
            if code is not None:
                watch.is_gone(rank, code)
        for rank in watch.due():
            self.processes[rank].kill()
        if (why := watch.answer()) is not None:
            self.answer(why)

    def answer(self, said: str) -> None:
        """Tell rank 0 what it waits for, if it is there."""
        with suppress(OSError):
            self.channels[0].send(said)

    def _hear(self, rank: int) -> None:
        channel = self.channels[rank]
        try:
            while not channel.closed and channel.poll():
                self.watch.hears(rank, channel.recv())
        except (EOFError, OSError):
            channel.close()

    def close(self) -> None:
        """Leave nobody behind."""
        for process in self.processes:
            if process.exitcode is None:
                process.kill()
        for process in self.processes:
            process.join()
        for channel in self.channels:
            channel.close()

    def outcome(self) -> Any:
        """What rank 0 has come to.

        Raises:
            TrainerError: Why it has not, by the rank that is to blame.
        """
        first, blamed = self.watch.ended[0], self.watch.blamed()
        if not first.code:
            return first.result
        if blamed is not None:
            error = self.watch.ended[blamed].raised(blamed)
        else:
            error = TrainingFailedError(self.watch.why() or first.message)
        directory = self.watch.directory
        if directory is not None and 0 not in self.watch.spoke:
            _note(directory, error)
        if not error.hint and 0 in self.watch.spoke:
            error.hint = first.hint
        if directory is not None and "trainer resume" not in error.hint and _can_be_resumed(directory):
            error.hint = "; ".join(filter(None, (error.hint, f"resume it: trainer resume {argument(directory)}")))
        raise error


def _note(directory: Path, error: TrainerError) -> None:
    """Say in result.json how a run has ended whose rank 0 could not say it itself."""
    before = records.read_result(directory) or {"name": directory.parent.name, "metrics": {}}
    with suppress(StorageError):
        records.write_result(directory, before | {"status": "failed", "error": error.message})


def _can_be_resumed(directory: Path) -> bool:
    return any((directory / "checkpoints" / name).is_file() for name in ("last.pt", "previous.pt"))


@contextmanager
def _without_script() -> Iterator[None]:
    """Within the block processes are started that do not run the user's script again, as multiprocessing has it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
