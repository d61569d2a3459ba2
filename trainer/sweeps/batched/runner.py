"""Jobs that are alike in all but numbers, trained as one program; the others one by one."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, NoReturn

from trainer.engine.loop import Hook
from trainer.engine.state import State
from trainer.show.report import Report
from trainer.sweeps.attempt import Attempt
from trainer.sweeps.batched import team
from trainer.sweeps.batched.alignment import align
from trainer.sweeps.batched.member import Member, reason_against
from trainer.sweeps.grouping import data_of, grouped
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done, note
from trainer.system.errors import ConfigError, InterruptedRunError, TrainerError

SHOW_SECONDS = 0.5  # between two looks at what the jobs say

Rest = Callable[[], dict[str, Any]]  # what is left of a job, which gives the content of its result.json


class Batched(Hook):
    """Takes up to `settings.jobs` jobs at a time; each keeps its own run directory, as if it were alone.

    As a hook of a team's loop, it shows now and then how far the jobs are.
    """

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        self.at_once, self.monitor, self.done = settings.jobs, monitor, done
        self.screen = monitor.screen
        self.begun: list[Member] = []
        self.stopped: BaseException | None = None
        self._shown = 0.0

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
        reason = None if len(group) > 1 or group[0].together else "no other job is like it"
        align(group)
        for planned in group:
            member = self._begin(planned)
            if member is None:
                continue
            if reason is None:
                reason = reason_against(member)  # it holds for all, for they are alike in that
            if reason:
                self._alone(member, reason)
        teams: dict[tuple[object, object, object], list[Member]] = {}
        for member in self.begun:
            teams.setdefault((member.form, member.pace, member.place), []).append(member)
        forms, paces = ({key[i] for key in teams} for i in (0, 1))
        for together in teams.values():
            if len(together) > 1 or together[0].planned.together:
                self._together(together)
            elif len(teams) == 1:
                self._alone(together[0], "the others like it have failed")
            else:
                other = "its batches are unlike the others'" if len(paces) > 1 else "it is resumed at another step"
                self._alone(together[0], "its model is unlike the others'" if len(forms) > 1 else other)

    def _begin(self, planned: Planned) -> Member | None:
        """Set a job up, up to its first step; None if that failed."""
        attempt = Attempt(planned, Report(quiet=True))
        try:
            _refuse_several(planned)
            same = [member.parts for member in self.begun if data_of(member.planned) == data_of(planned)]
            training = attempt.open(same[0] if same else None)
        except BaseException as error:
            self._end(attempt, _raising(error))
            return None
        self.begun.append(Member(attempt, training))
        self._look()
        return self.begun[-1]

    def _alone(self, member: Member, reason: str) -> None:
        self.screen.say(f"job {member.planned.number} runs by itself: {reason}")
        self._show([member])
        member.train_alone()
        self.begun.remove(member)
        self._end(member.attempt, member.training.run)

    def _together(self, members: list[Member]) -> None:
        first = members[0].parts
        count = f"{len(members)} jobs" if len(members) > 1 else f"job {members[0].planned.number}"
        self.screen.say(f"{count} as one program: {first.name}, {first.compute}")
        team.train(members, self.screen.say, self._leaves, self)
        if self.stopped is not None:
            raise self.stopped
        signum = next((m.state.interrupted for m in members if m.state.interrupted), 0)
        if signum:  # it came when there was nothing left to stop but what is still to come
            raise InterruptedRunError(signum, "interrupted")

    def on_step(self, state: State) -> None:
        self._look()

    def _look(self) -> None:
        if time.monotonic() - self._shown > SHOW_SECONDS:
            self._shown = time.monotonic()
            self._show(self.begun)

    def _show(self, members: Sequence[Member]) -> None:
        self.monitor.show([(member.planned, member.since) for member in members])

    def _leaves(self, member: Member) -> None:
        """Test a member that is over, and say how it ended."""
        self.begun.remove(member)
        try:
            self._end(member.attempt, lambda: member.training.finish(member.rest))
        except (InterruptedRunError, KeyboardInterrupt) as error:
            self.stopped = error  # of all: the others end, too, and say so

    def _end(self, attempt: Attempt, rest: Rest) -> None:
        """Do the rest of a job, and note how it ended.

        Raises:
            InterruptedRunError, KeyboardInterrupt: it was told to stop.
        """
        note(attempt.planned, partial(attempt.end, rest), self.done)

    def _end_all(self, error: BaseException) -> None:
        """Let every job that has been begun say how it ended, though one of them cannot."""
        for member in list(self.begun):
            member.error = team.of_all(error)
            with suppress(TrainerError):
                self._leaves(member)


def _refuse_several(planned: Planned) -> None:
    """Refuse a job on several devices, which no program shares with others.

    Raises:
        ConfigError: It is one.
    """
    config = planned.asked.config
    if config is not None and config.devices != 1:
        raise ConfigError(
            f"devices={config.devices}: sweep=batched trains several models on one device", "use sweep=serial"
        )


def _raising(error: BaseException) -> Rest:
    def rest() -> NoReturn:
        raise error

    return rest
