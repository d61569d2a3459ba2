"""What Slurm and Ray share, with an engine that runs nothing."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from trainer.run.sweep_log import Outcome
from trainer.show.report import Report
from trainer.sweeps.concurrent import Concurrent, Submitted
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Asked, Planned
from trainer.sweeps.refusals import RefusedError
from trainer.system import signals
from trainer.system.errors import ConfigError, InterruptedRunError


class Engine(Concurrent[int]):
    """Ends the oldest job each time it is asked, or none; takes `limit` jobs at once."""

    poll_seconds = 0.0
    stop_seconds = 0.05

    def __init__(self, places: int, ends: str = "completed", limit: int = 100) -> None:
        self.found: list[Outcome] = []
        super().__init__(None, Monitor(Report()), self.found.append)
        self.places, self.ends, self.limit = places, ends, limit
        self.log: list[str] = []
        self.busy: dict[int, bool] = {}  # jobs for which there is no time at first
        self.most = 0  # under way at once
        self.begun = {0}  # the others wait in the queue until they end

    def submit(self, planned: Planned) -> int:
        if self.busy.pop(planned.number, None):
            raise RefusedError("no time", busy=True)
        if len(self.jobs) >= self.limit:
            raise RefusedError("too many")
        self.most = max(self.most, 1 + len(self.jobs))
        self.log.append(f"submit {planned.number}")
        return planned.number

    def runs(self, job: Submitted[int]) -> bool:
        return job.handle in self.begun

    def ended(self, job: Submitted[int]) -> Outcome | None:
        if self.ends == "never" or job is not self.jobs[0]:
            return None
        if self.ends == "stop":
            raise KeyboardInterrupt
        self.log.append(f"end {job.handle}")
        return job.planned.ended(self.ends)

    def cancel(self, jobs: Sequence[Submitted[int]]) -> None:
        self.log += [f"cancel {job.handle}" for job in jobs]
        self.ends = "never"

    def kill(self, jobs: Sequence[Submitted[int]]) -> None:
        self.log += [f"kill {job.handle}" for job in jobs]


def planned(count: int, taken: list[int] | None = None, mistake: int | None = None) -> Iterator[Planned]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        error = ConfigError("no such thing") if number == mistake else None
        config: Any = None
        yield Planned(number, Path("sweep") / str(number), Asked([f"seed={number}"], config, error), f"seed={number}")


def test_a_job_is_taken_as_a_place_becomes_free_and_not_before() -> None:
    engine = Engine(places=2)
    engine.run(planned(4))
    assert engine.log == [
        *("submit 0", "submit 1", "end 0", "end 1"),
        *("submit 2", "submit 3", "end 2", "end 3"),
    ]
    assert [job.job for job in engine.found] == [0, 1, 2, 3]


def test_a_stop_cancels_all_kills_the_stubborn_and_takes_no_more() -> None:
    engine, taken = Engine(places=2, ends="stop"), list[int]()
    with pytest.raises(KeyboardInterrupt):
        engine.run(planned(4, taken))
    assert engine.log == ["submit 0", "submit 1", "cancel 0", "cancel 1", "kill 0", "kill 1"]
    assert taken == [0, 1]
    # The other was in the queue: it did not come to run.
    assert [(job.job, job.status) for job in engine.found] == [(0, "interrupted")]


def test_a_second_signal_does_not_wait_for_checkpoints() -> None:
    engine = Engine(places=1)
    engine.stop_seconds = 60.0

    def jobs() -> Iterator[Planned]:
        yield from planned(1)
        raise KeyboardInterrupt

    def cancel(jobs: Sequence[Submitted[int]]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        engine.ends = "never"

    engine.cancel, engine.places = cancel, 2  # type: ignore[method-assign]
    with signals.answered(signal.SIGINT), pytest.raises(KeyboardInterrupt):
        engine.run(jobs())
    assert engine.log == ["submit 0", "kill 0"]
    assert [(job.status, job.error) for job in engine.found] == [("interrupted", "another signal came")]


def test_where_the_cluster_stopped_a_job_the_others_end_and_the_sweep_says_so() -> None:
    engine = Engine(places=1, ends="interrupted")
    with pytest.raises(InterruptedRunError) as error:
        engine.run(planned(2))
    assert [job.status for job in engine.found] == ["interrupted", "interrupted"]
    assert (error.value.message, error.value.hint) == ("the cluster stopped jobs 0, 1", "go on: trainer resume sweep")
    assert error.value.exit_code == 143


def test_a_limit_of_the_clusters_is_kept() -> None:
    engine = Engine(places=4, limit=2)
    engine.run(planned(5))
    assert [job.job for job in engine.found] == [0, 1, 2, 3, 4]


def test_a_cluster_that_was_busy_for_a_moment_has_as_many_jobs_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.sweeps.refusals.SOONEST", 0.0)
    engine = Engine(places=3)
    engine.busy = {0: True, 2: True}  # also for the first job of all
    engine.run(planned(3))
    engine.log.clear()
    engine.run(planned(3))
    assert engine.log[:3] == ["submit 0", "submit 1", "submit 2"]
    assert [job.job for job in engine.found] == [0, 1, 2, 0, 1, 2]


def test_a_limit_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.sweeps.refusals.PROBING", 0.0)
    engine = Engine(places=4, limit=2)

    def jobs() -> Iterator[Planned]:
        for job in planned(30):
            engine.limit = 2 if job.number < 10 else 100
            yield job

    engine.run(jobs())
    assert [job.job for job in engine.found] == [*range(30)]
    assert engine.most == 4


def test_a_job_that_is_never_taken_ends_the_sweep() -> None:
    with pytest.raises(RefusedError):
        Engine(places=4, limit=0).run(planned(5))


def test_a_mistake_does_not_wait_in_a_queue(empty: Path) -> None:
    Path("sweep/1").mkdir(parents=True)
    engine = Engine(places=4)
    engine.run(planned(3, mistake=1))
    assert [(job.job, job.status, job.error) for job in engine.found] == [
        (1, "failed", "no such thing"),
        (0, "completed", ""),
        (2, "completed", ""),
    ]
    assert "submit 1" not in engine.log
