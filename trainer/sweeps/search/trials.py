"""The jobs of a search: the trials of an Optuna study, each asked for when there is a place to run it.

A trial's number is that of its job and its directory. What is in the study's journal has been decided: a trial that
runs there, and of which no process knows, is continued when the sweep is resumed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from optuna.distributions import check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from trainer.compare.ranking import has_value
from trainer.config.train import Train
from trainer.run import choosing, records
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.show.report import Report
from trainer.sweeps.plan import BY_TEST, Asked, Planned, begin, claim, known
from trainer.sweeps.search import journal, study
from trainer.sweeps.search.goal import Goal
from trainer.sweeps.search.pruning import Pruning
from trainer.sweeps.search.ranges import Space
from trainer.system.atomic import storing
from trainer.system.errors import ConfigError
from trainer.system.machine import cores, gpus

AT_ONCE = 8  # trials under way: few enough for the later ones to learn from


class Search(Iterator[Planned]):
    """The trials so far, and as many more as it takes to have `search.trials` of them in all.

    As an iterator it ends while enough trials are under way, and gives more when some of them have ended. A runner
    that takes many jobs at a time would otherwise have them all chosen before anything came of one.

    Args:
        composed: makes a job of a trial's overrides.
        base: the config of a trial that stands for all.

    Raises:
        ConfigError: the study in `directory` belongs to another search.
        RunError: it is damaged.
    """

    def __init__(
        self, directory: Path, space: Space, composed: Callable[[list[str]], Asked], base: Train, goal: Goal
    ) -> None:
        self.directory, self.space, self.composed, self.goal = directory, space, composed, goal
        self.settings, self.epochs = base.search, _expected(base.epochs)
        self.plots = base.plots
        self._at_once = self.settings.at_once or max(AT_ONCE, len(gpus()) or cores())
        self._running: set[int] = set()
        self.planned: list[Planned] = []
        if (directory / journal.JOURNAL).exists():
            journal.check(directory)
            trials = self._trials()
            self._check(trials)
            self.planned = [self._planned(trial) for trial in trials]
        self._interrupted = [planned for planned in self.planned if planned.finished is None]
        # Where jobs are run in rounds, the next one is chosen by what all of this one have come to.
        self._in_rounds = base.sweep.name in ("batched", "auto")
        self._round_is_full = self._in_rounds and (directory / journal.JOURNAL).exists() and self._has_begun()

    @property
    def expected(self) -> int:
        """How many trials there will be in all."""
        return max(int(self.settings.trials), len(self.planned))

    def begin(self, screen: Report, noted: Mapping[int, Outcome]) -> list[Outcome]:
        """Make the study if there is none, and tell it of results that it has not heard of."""
        with storing(self.directory / journal.JOURNAL):
            study.mend(self.directory)
            trials = self._trials()
        begin(screen, self.directory, "search", f"{self.settings.trials} trials for {self.goal}", self.space.ranges)
        if self.goal.names[0].startswith("test/"):
            screen.warn(f"the test split picks the best here: {BY_TEST}")
        kept = []
        for planned in self.planned:
            if planned.finished is None:
                continue
            job = noted.get(planned.number)
            if job is None or job.status == "interrupted":
                job = planned.completed(planned.finished)
            if not trials[planned.number].state.is_finished():
                self.done(job)
            kept.append(job)
        return kept

    def todo(self) -> Iterator[Planned]:
        return self

    def __next__(self) -> Planned:
        """A trial that was interrupted, or else a new one."""
        if len(self._running) >= self._at_once:
            raise StopIteration
        if self._interrupted:
            planned = self._interrupted.pop(0)
        elif self._running and self._round_is_full:
            raise StopIteration
        elif len(self.planned) < self.settings.trials:
            self._round_is_full = False
            with storing(self.directory / journal.JOURNAL):
                planned = self._planned(self._opened.ask(self.space.ranges, self.settings, not self._running))
            self.planned.append(planned)
        else:
            raise StopIteration
        claim(self.directory, [planned])
        self._running.add(planned.number)
        return planned

    def done(self, job: Outcome) -> None:
        """Tell the study. It hears nothing of a trial that was interrupted, which is continued later."""
        self._running.discard(job.job)
        if job.status == "interrupted":
            return
        with storing(self.directory / journal.JOURNAL):
            tell = self._opened.study.tell
            if job.status == PRUNED:
                tell(job.job, state=TrialState.PRUNED)
            elif has_value(job) and job.objective in self.goal.names:
                tell(job.job, job.value)
            else:
                tell(job.job, state=TrialState.FAIL)

    def unfinished(self, jobs: Sequence[Outcome]) -> bool:
        over = sum(job.status not in ("interrupted", "not run") for job in jobs)
        return over < max(int(self.settings.trials), len(self.planned))

    def failure(self, jobs: Sequence[Outcome]) -> str:
        """A search fails only if nothing comes of it: that a setting fails is a finding."""
        over = not self.unfinished(jobs)
        return "no trial of the search came to a result" if over and not any(map(has_value, jobs)) else ""

    def outlook(self) -> str:
        more = max(0, self.settings.trials - len(self.planned))
        return f"{more} new trials, for {self.goal} over {', '.join(self.space.ranges)}"

    def importance(self) -> dict[str, float]:
        """The share of the differences between trials that each key explains; empty if it cannot be told."""
        return study.importance(self._opened.study)

    def _has_begun(self) -> bool:
        """Whether a trial of the last round has been trained: then all of that round had been chosen."""
        rounds = [(trial.user_attrs.get(journal.ROUND), trial) for trial in self._trials()]
        last = [trial for number, trial in rounds if number == rounds[-1][0]]
        return any(trial.state.is_finished() or self.planned[trial.number].started for trial in last)

    @cached_property
    def _opened(self) -> study.Opened:
        return study.Opened(self.directory, self.settings, self.epochs, self.goal.direction)

    def _trials(self) -> list[FrozenTrial]:
        return self._opened.study.get_trials(deepcopy=False)

    def _check(self, trials: list[FrozenTrial]) -> None:
        """Refuse trials that do not compare with those to come."""
        found = self._opened.study.direction.name.lower()
        if found != study.DIRECTIONS[self.goal.direction]:
            raise ConfigError(f"{self.directory}: that search is to {found} something else", journal.ANEW)
        for trial in trials:
            if set(self.space.ranges) != set(trial.params):
                raise ConfigError(f"{self.directory}: that search is over {', '.join(trial.params)}", journal.ANEW)
            for key, before in trial.distributions.items():
                try:
                    check_distribution_compatibility(before, self.space.ranges[key])
                except ValueError as error:
                    raise ConfigError(f"{key}: the choices of a search cannot change", journal.ANEW) from error
        digests = known(self.directory)
        first = next((t for t in trials if t.number in digests), None)  # it stands for all, for composing takes time
        if first is not None and self.composed(self.space.overrides(first)).digest != digests[first.number]:
            raise ConfigError(f"{self.directory}: its trials were trained with other settings than these", journal.ANEW)

    def _planned(self, trial: FrozenTrial) -> Planned:
        number, overrides = trial.number, self.space.overrides(trial)
        directory = self.directory / str(number)
        label = " ".join(f"{key}={value}" for key, value in self.space.chosen(trial).items())
        result = records.read_result(directory)  # empty if the trial was killed before it had one
        if trial.state.is_finished():
            asked = Asked([word.lstrip("+") for word in overrides if not word.startswith("~")], None)
            return Planned(number, directory, asked, label, result or {"status": "failed"})
        asked = self.composed(overrides)
        finished = result if result.get("status") in ("completed", "failed") else None
        planned = Planned(number, directory, asked, label, finished, together=True)
        if self.settings.pruner != "none" and asked.config is not None:
            epochs = _expected(asked.config.epochs)
            planned.hooks = (Pruning(self.directory, number, self.goal, self.settings, epochs, self.epochs),)
        return planned


def _expected(epochs: int | str) -> int:
    """How many epochs a trial has at most, as far as it is known before the data are read."""
    return choosing.MOST if isinstance(epochs, str) else epochs
