"""Ranks for tests: processes that meet once, and then do one case after another."""

import multiprocessing
import random
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
from composing import composed

from trainer import checkpoint
from trainer.engine.loop import Hook, fit
from trainer.engine.ranks import ALONE, Ranks
from trainer.engine.ranks.overlapping import Overlapping
from trainer.engine.state import Row, State
from trainer.run.deciding import Deciding
from trainer.run.parts import Parts, assemble
from trainer.run.signals import stopping
from trainer.show.report import Report
from trainer.system.errors import DivergedError

PATIENCE = 60.0  # seconds that a case may take
Case = Callable[..., Any]  # of ranks, and what else it is given


class Crew:
    """So many ranks; `do` has each of them do the same."""

    def __init__(self, size: int) -> None:
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["ranked", "torch.distributed"])
        with socket.socket() as meeting:
            meeting.bind(("127.0.0.1", 0))
            port = meeting.getsockname()[1]
        pipes = [context.Pipe() for _ in range(size)]
        self.channels: list[Connection] = [ours for ours, _ in pipes]
        self.processes = [
            context.Process(target=_serve, args=(rank, size, port, theirs)) for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()
        for _, theirs in pipes:
            theirs.close()

    def do(self, case: Case, *given: Any) -> list[Any]:
        """What `case(ranks, *given)` returns on each rank."""
        for channel in self.channels:
            channel.send((case, given))
        until = time.monotonic() + PATIENCE
        answers = []
        for rank, channel in enumerate(self.channels):
            assert channel.poll(max(0.0, until - time.monotonic())), f"rank {rank} does not answer"
            answers.append(channel.recv())
        failed = [f"rank {rank}: {error}" for rank, (_, error) in enumerate(answers) if error]
        assert not failed, "\n".join(failed)
        return [found for found, _ in answers]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


@contextmanager
def crew(size: int) -> Iterator[Crew]:
    """A crew, none of which is left after the block."""
    made = Crew(size)
    try:
        yield made
    finally:
        made.close()


def _serve(rank: int, size: int, port: int, channel: Connection) -> None:
    from trainer.engine.ranks.joined import joined
    from trainer.system.seats import Seat

    torch.set_num_threads(1)
    with joined(Seat(rank, size, rank, port=port), torch.device("cpu"), PATIENCE) as ranks:
        while True:
            case, given = channel.recv()
            try:
                channel.send((case(ranks, *given), ""))
            except BaseException:
                channel.send((None, traceback.format_exc()))


class Recorder(Hook):
    """Keeps the rows of a training, without times."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def on_evaluation(self, state: State, row: Row) -> None:
        self.on_epoch(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self.rows.append({name: value for name, value in row.items() if name not in ("seconds", "samples_per_second")})


def trained(ranks: Ranks = ALONE, *words: str) -> dict[str, Any]:
    """What `trainer train WORDS...` comes to on these ranks: weights, rows, and where it stopped."""
    return come_to(assemble(composed("train", *words), Report(quiet=True), ranks=ranks))


def nudged(ranks: Ranks, what: str, *words: str) -> dict[str, Any]:
    """What it comes to where rank 1 is sent a `signal` after four steps, or where a `hook` of rank 0 does much."""
    parts = assemble(composed("train", *words), Report(quiet=True), ranks=ranks)
    if parts.agreement is not None:
        parts.agreement.steps = what == "hook"
    hook = Meddling(parts) if what == "hook" else Signalled(parts)
    return come_to(parts, [hook] if ranks.rank == (what == "signal") else [])


def overlapped(ranks: Ranks, *words: str) -> dict[str, Any]:
    """The same as `trained`, by the step of a large model."""
    parts = assemble(composed("train", *words), Report(quiet=True), ranks=ranks)
    step: Any = parts.step
    step.large = True
    found = come_to(parts)
    assert isinstance(step.reduction, Overlapping)
    return found


def buffered(ranks: Ranks, *words: str) -> dict[str, Any]:
    """The same by the step of a small model."""
    parts = assemble(composed("train", *words), Report(quiet=True), ranks=ranks)
    step: Any = parts.step
    step.large = False
    return come_to(parts)


class Signalled(Hook):
    """Has a signal come after four steps."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def on_step(self, state: State) -> None:
        if state.step == 4:
            with stopping(self.parts.agreement or state):
                signal.raise_signal(signal.SIGTERM)


class Meddling(Signalled):
    """Does what hooks of a user may do."""

    def on_step(self, state: State) -> None:
        torch.rand(state.step)
        random.random()
        self.parts.optimizer.param_groups[0]["lr"] *= 0.9
        with torch.no_grad():
            self.parts.optimizer.param_groups[0]["params"][-1].clamp_(-0.01, 0.01)
        state.stop = "enough" if state.step == 4 else ""


def diverging(ranks: Ranks, *words: str) -> str:
    """What is said of a loss that is not finite."""
    with pytest.raises(DivergedError) as raised:
        trained(ranks, *words)
    return raised.value.message


def messages(ranks: Ranks) -> list[Any]:
    """What each rank hears of the others."""
    told = ranks.told({"of": ranks.rank, "long": "x" * 5000})
    of_all = ranks.of_all([ranks.rank, "y" * 5000 * ranks.rank])
    return [told, of_all, ranks.gathered(torch.full((2,), float(ranks.rank))).tolist()]


def come_to(parts: Parts, beside: Sequence[Hook] = ()) -> dict[str, Any]:
    """What the training of `parts` comes to."""
    recorder = Recorder()
    ending = Deciding(parts).ending(parts.agreement.seconds if parts.agreement is not None else float, lambda _: None)
    hooks = [parts.average, *beside, recorder, *ending, parts.schedule, parts.agreement]
    state = fit(
        parts.step, parts.batches, parts.plan, parts.evaluate, [hook for hook in hooks if hook is not None], parts.state
    )
    parts.close(at_once=True)
    averaged = checkpoint.state_of(parts.average.averaged) if parts.average is not None else {}
    return {
        "weights": {**checkpoint.state_of(parts.model), **{f"average of {k}": v for k, v in averaged.items()}},
        "rows": recorder.rows,
        "state": {**state.counters(), "stop": state.stop, "interrupted": state.interrupted},
        "drawn": torch.get_rng_state(),
    }
