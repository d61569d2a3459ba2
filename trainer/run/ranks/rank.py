"""What each rank runs: it takes its place among the others, does its share of the task, and says how it ended."""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainer.run.ranks.ended import Ended, by_error
from trainer.system import signals, streams
from trainer.system.seats import Seat
from trainer.system.workers import end_with, end_with_starter

if TYPE_CHECKING:  # torch comes with it
    from trainer.engine.ranks import Ranks
    from trainer.show.report import Report

ANSWER_SECONDS = 15.0  # in which the launcher knows what has become of a rank
TIMEOUT = 300.0  # seconds, of a task without a key for it


class Task(Protocol):
    """What ranks do together."""

    @property
    def config(self) -> Any:
        """What has been composed."""

    @property
    def batch(self) -> int | None:
        """How many samples a batch has that they train on together; None: they train nothing."""

    def lead(self, ranks: "Ranks", screen: "Report", at: Callable[[Path], None]) -> Any:
        """What rank 0 does, and what comes of it; it calls `at` with the directory that it works in."""

    def follow(self, ranks: "Ranks") -> None:
        """What the others do, without a screen and without files."""


class Handle:
    """An open file that another process gets, too."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self.number),)


def _received(duplicate: Any) -> Handle:
    return Handle(duplicate.detach())


@dataclass
class Order:
    """What a rank is told when it is started."""

    task: Task
    seat: Seat
    environment: dict[str, str]
    threads: int
    streams: list[Handle]  # standard input, output and error
    channel: Connection  # to the launcher
    launcher: int  # its process id
    listening: socket.socket | None  # of rank 0, where the others come
    heading: tuple[str, str]  # the first line, which is on the screen already
    said: list[str]  # further ones


def serve(order: Order) -> None:
    """Do the share of a rank, to its end."""
    end_with_starter()
    end_with(order.launcher)
    gc.freeze()  # what the server has imported stays, and its pages shared
    gc.enable()
    with suppress(OSError):  # the leader of a session cannot, and need not
        os.setpgid(0, 0)  # what a terminal sends to its group is for the launcher, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    os.environ.clear()
    os.environ.update(order.environment)
    _take_streams(order)
    with signals.answered(*signals.ENDING, for_good=True) as answer, streams.prepared():
        ended = _attempted(order)
        answer.over = True
    with suppress(OSError):  # the launcher has ended
        order.channel.send(ended)


def _attempted(order: Order) -> Ended:
    try:
        import torch

        torch.set_num_threads(order.threads)  # the server has imported it before OMP_NUM_THREADS was set
        listening = order.listening.detach() if order.listening is not None else None
        channel = Channel(order.channel)
        return Ended(0, result=seated(order.task, replace(order.seat, listening=listening), order, channel))
    except BaseException as error:
        return by_error(error)


@dataclass
class Channel:
    """What rank 0 tells the launcher, and asks it."""

    connection: Connection

    def met(self) -> None:
        """All ranks have come; returns when the launcher has left the screen to this process."""
        self._send("met")
        self._heard()

    def at(self, directory: Path) -> None:
        """The run lies there."""
        self._send(directory)

    def why(self) -> str:
        """Why a rank was lost, as far as the launcher knows."""
        self._send("lost")
        return self._heard()

    def _heard(self) -> str:
        with suppress(OSError, EOFError):
            if self.connection.poll(ANSWER_SECONDS):
                return str(self.connection.recv())
        return ""

    def _send(self, what: Any) -> None:
        with suppress(OSError):
            self.connection.send(what)


def seated(task: Task, seat: Seat, order: Order | None = None, channel: Channel | None = None) -> Any:
    """Do the share of the task that the `seat` has; what rank 0 has come to.

    `order` and `channel` are those of a rank that the launcher has started.
    """
    from trainer.engine import device
    from trainer.engine.ranks.joined import joined
    from trainer.run.ranks import sameness
    from trainer.show.report import Report

    compute = device.choose(task.config.device, task.config.precision)
    with joined(seat, compute.device, getattr(task.config, "rank_timeout", TIMEOUT)) as ranks:
        if channel is not None:
            ranks.why = channel.why
            if ranks.first:
                channel.met()
        sameness.check_programs(ranks)
        if not ranks.first:
            return task.follow(ranks)
        screen = Report()
        if order is not None:
            screen.take_over(order.heading, order.said)
        return task.lead(ranks, screen, channel.at if channel is not None else lambda _: None)


def _take_streams(order: Order) -> None:
    """Let this process have the launcher's streams; of another rank than 0 nothing is seen."""
    for number, handle in enumerate(order.streams):
        os.dup2(handle.number, number)
        os.close(handle.number)
    if order.seat.rank:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        os.close(nowhere)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        lines = os.isatty(number) or name == "stderr"
        stream = open(number, "w", 1 if lines else -1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
