"""Jobs that are alike in all but numbers, trained as one program; the others one by one."""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from trainer.engine import rng
from trainer.engine.loop import Row, StoppedError
from trainer.run.parts import Parts
from trainer.run.signals import stopping
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.sweeps.attempt import Attempt, alone, attempting
from trainer.sweeps.batched.team import Member, Numbers, Team, reason_against
from trainer.sweeps.grouping import grouped
from trainer.sweeps.job import Job
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.system.errors import InterruptedRunError, TrainerError, TrainingFailedError

SHOW_SECONDS = 0.5  # between two looks at what the jobs say


@dataclass(eq=False)
class _Running:
    """A job that has been begun, and what it waits for."""

    planned: Planned
    work: Attempt
    training: Training
    member: Member
    since: float = field(default_factory=time.monotonic)
    asked: Any = None
    ended: bool = False

    @property
    def parts(self) -> Parts:
        return self.training.parts


class Batched:
    """Takes up to `settings.jobs` jobs at a time; each keeps its own run directory, as if it were alone."""

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        self.at_once, self.screen, self.done = settings.jobs, screen, done
        self.monitor = Monitor(screen)
        self.begun: list[_Running] = []
        self.stopped: BaseException | None = None

    def run(self, jobs: Iterator[Planned]) -> None:
        while taken := list(islice(jobs, self.at_once)):
            for group in grouped(taken):
                try:
                    self._run(group)
                except BaseException as error:
                    self._end_all(error)
                    raise
                finally:
                    self.monitor.close()

    def _run(self, group: Sequence[Planned]) -> None:
        reason = None if len(group) > 1 else "no other job is like it"
        for planned in group:
            running = self._begin(planned)
            if running is None:
                continue
            if reason is None:
                reason = reason_against(running.parts)  # it holds for all, for they are alike in that
            if reason:
                self._alone(running, reason)
        teams: dict[tuple[object, object], list[_Running]] = {}
        for running in self.begun:
            teams.setdefault((running.member.form, running.member.place), []).append(running)
        forms = {form for form, _ in teams}
        for together in teams.values():
            if len(together) > 1:
                self._together(together)
            elif len(teams) == 1:
                self._alone(together[0], "the others like it have failed")
            else:
                other = "its model is unlike the others'" if len(forms) > 1 else "it goes on from another place"
                self._alone(together[0], other)

    def _begin(self, planned: Planned) -> _Running | None:
        """Set a job up, up to its first step; None if it failed on the way."""
        beside = self.begun[0].parts if self.begun else None
        work = attempting(planned, Report(quiet=True), beside)
        try:
            training = next(work)
        except StopIteration as failed:
            self._ended(failed.value)
            return None
        except (InterruptedRunError, KeyboardInterrupt) as error:
            self.done(planned.ended("interrupted", str(error)))
            raise
        running = _Running(planned, work, training, Member(training.parts, rng.Own()))
        self.begun.append(running)
        return running

    def _alone(self, running: _Running, reason: str) -> None:
        self.screen.say(f"job {running.planned.number} runs by itself: {reason}")
        self.monitor.show([(running.planned, running.since)])
        running.member.leave()
        self._go_on(running, alone, running.work, running.training)
        if self.stopped is not None:
            raise self.stopped

    def _together(self, group: list[_Running]) -> None:
        self.screen.say(f"{len(group)} jobs as one program: {group[0].parts.name}, {group[0].parts.compute}")
        with stopping(*(running.parts.state for running in group)):
            for running in group:
                self._answer(running, (Numbers(running.parts), nullcontext))
            self._drive(group)
        if self.stopped is not None:
            raise self.stopped
        for running in group:
            signum = running.parts.state.interrupted
            if signum:  # it came when there was nothing left to stop but what is still to come
                raise InterruptedRunError(signal.Signals[signum], "interrupted")

    def _drive(self, group: list[_Running]) -> None:
        """Answer what the jobs ask for, all at a time, until each has ended."""
        team, shown = None, 0.0
        while running := [job for job in group if not job.ended]:
            evaluating = [job for job in running if job.asked is None]
            rows: dict[int, Row] = {}
            try:
                if team is None or len(team.members) > len(running):
                    team = None  # makes room for the next one
                    team = Team([job.member for job in running], self.screen.say)
                if evaluating:
                    rows = team.evaluate()
                else:
                    team.step(running[0].asked)
            except StoppedError as error:
                for job in evaluating:
                    self._throw(job, error)
            except Exception as error:  # it is nobody's own: what a device has no memory for, or a bug of ours
                traceback.print_exc()
                for job in running:
                    self._throw(job, _failure(error))
            else:
                for job in evaluating or running:
                    self._answer(job, rows.get(id(job.member)))
            if time.monotonic() - shown > SHOW_SECONDS:
                shown = time.monotonic()
                self.monitor.show([(job.planned, job.since) for job in group if not job.ended])

    def _answer(self, running: _Running, answer: Any) -> None:
        self._go_on(running, running.work.send, answer)

    def _throw(self, running: _Running, error: BaseException) -> None:
        self._go_on(running, running.work.throw, error)

    def _go_on(self, running: _Running, call: Callable[..., Any], *facts: Any) -> None:
        """Let a job go on, by that call, until it asks again, or ends."""
        try:
            running.asked = call(*facts)
        except StopIteration as end:
            self._leaves(running)
            self._ended(end.value)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            self._leaves(running)
            self.done(running.planned.ended("interrupted", str(error)))
            self.stopped = error
        except BaseException:
            self._leaves(running)
            raise
        else:
            if isinstance(running.asked, Job):  # it ran alone
                self._leaves(running)
                self._ended(running.asked)

    def _leaves(self, running: _Running) -> None:
        running.ended = True
        self.begun.remove(running)

    def _ended(self, job: Job) -> None:
        self.done(job)
        if job.error:
            self.screen.say(f"job {job.job} failed: {job.error}", style="red")

    def _end_all(self, error: BaseException) -> None:
        """Let every job that has been begun say how it ended, though one of them cannot."""
        ours = isinstance(error, TrainerError) or not isinstance(error, Exception)
        for running in list(self.begun):
            with suppress(TrainerError):
                self._throw(running, error if ours else _failure(error))


def _failure(error: BaseException) -> TrainingFailedError:
    """What is said of each job; a traceback is shown once, for all of them."""
    reason = (str(error).strip().splitlines() or [""])[0]
    return TrainingFailedError(f"{type(error).__name__}: {reason}")
