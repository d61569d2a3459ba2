"""The jobs of a search: the trials of an Optuna study, each asked for when there is a place to run it.

A trial's number is that of its job and its directory. What is in the study's journal has been decided: a trial that
is said to run there, and of which no process knows, goes on when the sweep is resumed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.show.report import Report
from trainer.sweeps.job import LOG, PRUNED, Job, read
from trainer.sweeps.plan import Asked, Planned, claim, known
from trainer.sweeps.results.ranking import has_value
from trainer.sweeps.search import library, study
from trainer.sweeps.search.goal import Goal
from trainer.sweeps.search.pruning import Pruning
from trainer.sweeps.search.ranges import Space
from trainer.system.atomic import storing
from trainer.system.errors import ConfigError
from trainer.system.machine import cores, gpus

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

AT_ONCE = 8  # trials under way: few enough for the later ones to learn from
ANEW = "begin another search: trainer train -m ..."


class Search:
    """Trials of before, and as many more as it takes to have `search.trials` of them in all.

    `composed` makes a job of a trial's overrides, and `base` is the config of one that stands for all.

    Raises:
        ConfigError: the study in `directory` is of another search.
        RunError: it is damaged.
    """

    def __init__(
        self, directory: Path, space: Space, composed: Callable[[list[str]], Asked], base: Config, goal: Goal
    ) -> None:
        library.load()
        self.directory, self.space, self.composed = directory, space, composed
        self.settings, self.epochs = base.section("search"), base.settings.epochs
        self.plots = base.settings.plots
        self.goal = goal
        self._opened: study.Opened | None = None
        self._at_once = self.settings.at_once or max(AT_ONCE, len(gpus()) or cores())
        self._taken: set[int] = set()
        self._running: set[int] = set()
        self.planned: list[Planned] = []
        if (directory / study.JOURNAL).exists():
            self.planned = self._of_before()

    def begin(self, screen: Report) -> list[Job]:
        """Make the study, or tell it what it did not hear of any more."""
        with storing(self.directory / study.JOURNAL):
            study.mend(self.directory)
            trials = self._trials()
        self.planned = [self._planned(trial) for trial in trials]
        screen.say(f"search for {self.goal}: {self.settings.trials} trials, {', '.join(self.space.ranges)}")
        if self.goal.names[0].startswith("test/"):
            screen.warn("the test split picks the best here: search with data.val_fraction=0.1 evaluate.split=val")
        noted = {}
        if (self.directory / LOG).exists():
            noted = {job.job: job for job in read(self.directory / LOG) if job.status != "interrupted"}
        kept = []
        for planned in self.planned:
            if planned.finished is None:
                continue
            job = noted.get(planned.number) or _said(planned)
            if not trials[planned.number].state.is_finished():
                self.done(job)
            kept.append(job)
        return kept

    def todo(self) -> Iterator[Planned]:
        return _Todo(self)

    def next(self) -> Planned | None:
        """A trial that was interrupted, or else a new one; None where enough are under way, or there are no more."""
        if len(self._running) >= self._at_once:
            return None
        waiting = [p for p in self.planned if p.finished is None and p.number not in self._taken]
        if waiting:
            planned = waiting[0]
        elif len(self.planned) < self.settings.trials:
            planned = self._asked()
            self.planned.append(planned)
        else:
            return None
        claim(self.directory, [planned])
        self._taken.add(planned.number)
        self._running.add(planned.number)
        return planned

    def done(self, job: Job) -> None:
        """Tell the study. It hears nothing of a trial that was interrupted: that one goes on."""
        from optuna.trial import TrialState

        self._running.discard(job.job)
        if job.status == "interrupted":
            return
        with storing(self.directory / study.JOURNAL):
            tell = self._study().study.tell
            if job.status == PRUNED:
                tell(job.job, state=TrialState.PRUNED)
            elif has_value(job) and job.objective in self.goal.names:
                tell(job.job, job.value)
            else:
                tell(job.job, state=TrialState.FAIL)

    def unfinished(self, jobs: Sequence[Job]) -> bool:
        over = sum(job.status not in ("interrupted", "not run") for job in jobs)
        return over < max(int(self.settings.trials), len(self.planned))

    def failure(self, jobs: Sequence[Job]) -> str:
        """A setting that fails is a finding, too."""
        over = not self.unfinished(jobs)
        return "no trial of the search came to a result" if over and not any(map(has_value, jobs)) else ""

    def outlook(self) -> str:
        more = self.settings.trials - len(self.planned)
        return f"{max(0, more)} new trials, for {self.goal} over {', '.join(self.space.ranges)}"

    def _study(self) -> study.Opened:
        if self._opened is None:
            self._opened = study.Opened(self.directory, self.settings, self.epochs, self.goal.direction)
        return self._opened

    def _trials(self) -> "list[FrozenTrial]":
        return self._study().study.get_trials(deepcopy=False)

    def _of_before(self) -> list[Planned]:
        """The trials in the journal, which are those of this search."""
        wanted = study.DIRECTIONS[self.goal.direction]
        found = self._study().study.direction.name.lower()
        if found != wanted:
            raise ConfigError(f"{self.directory}: that search is to {found} something else", ANEW)
        trials = self._trials()
        for trial in trials:
            self._check_space(trial)
        self._check_config(trials)
        return [self._planned(trial) for trial in trials]

    def _check_space(self, trial: "FrozenTrial") -> None:
        from optuna.distributions import check_distribution_compatibility

        if set(self.space.ranges) != set(trial.params):
            raise ConfigError(f"{self.directory}: that search is over {', '.join(trial.params)}", ANEW)
        for key, before in trial.distributions.items():
            try:
                check_distribution_compatibility(before, self.space.ranges[key])
            except ValueError as error:
                raise ConfigError(f"{key}: a search goes on with the choices that it has", ANEW) from error

    def _check_config(self, trials: "list[FrozenTrial]") -> None:
        """Trials compare only where all else is the same: the first one stands for all, for composing takes time."""
        digests = known(self.directory)
        first = next((t for t in trials if t.number in digests), None)
        if first is not None and self.composed(self.space.overrides(first)).digest != digests[first.number]:
            raise ConfigError(f"{self.directory}: its trials were trained with other settings than these", ANEW)

    def _asked(self) -> Planned:
        """A new trial."""
        with storing(self.directory / study.JOURNAL):
            return self._planned(self._study().ask(self.space.ranges, self.settings))

    def _planned(self, trial: "FrozenTrial") -> Planned:
        directory = self.directory / str(trial.number)
        label = " ".join(f"{key}={value}" for key, value in self.space.chosen(trial).items())
        overrides = self.space.overrides(trial)
        if trial.state.is_finished():
            asked = Asked([word.lstrip("+") for word in overrides if not word.startswith("~")], None)
            return Planned(trial.number, directory, asked, label, _result(directory) or {"status": "failed"})
        asked = self.composed(overrides)
        result = _result(directory)
        finished = result if result.get("status") in ("completed", "failed") else None
        planned = Planned(trial.number, directory, asked, label, finished)
        if self.settings.pruner != "none" and asked.config is not None:
            epochs = asked.config.settings.epochs
            planned.hooks = (Pruning(self.directory, trial.number, self.goal, self.settings, epochs, self.epochs),)
        return planned


class _Todo(Iterator[Planned]):
    """Ends while enough trials are under way, and gives more when some of them have ended.

    A runner that takes many jobs at a time would otherwise have them all chosen before anything came of one.
    """

    def __init__(self, search: Search) -> None:
        self._search = search

    def __next__(self) -> Planned:
        planned = self._search.next()
        if planned is None:
            raise StopIteration
        return planned


def _said(planned: Planned) -> Job:
    """What a job's result.json says of it."""
    result = planned.finished or {}
    if result.get("status") == "completed":
        return planned.completed(result)
    job = planned.ended("failed", str(result.get("error") or ""))
    job.seconds = float(result.get("seconds") or 0.0)
    return job


def _result(directory: Path) -> dict[str, Any]:
    """The content of result.json; nothing where the trial was killed before it had one."""
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}
