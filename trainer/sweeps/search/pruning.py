"""Ends a trial that is hopeless, judged by what the other trials had reached at the same epoch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trainer.config.search import Optuna
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.show.report import metric
from trainer.sweeps.job import PRUNED
from trainer.sweeps.search.goal import Goal
from trainer.sweeps.search.journal import JOURNAL
from trainer.sweeps.search.study import Opened, trial_id
from trainer.system.atomic import storing


@dataclass
class Pruning(Hook):
    """Notes the objective of each evaluated epoch in the search's journal; sets `state.stop` if the trial is hopeless.

    It can be pickled: the process that runs the trial opens the journal.
    """

    directory: Path  # of the sweep
    number: int  # of the trial
    goal: Goal
    settings: Optuna
    epochs: int  # of the trial
    usual: int  # epochs of other trials

    def on_start(self, state: State) -> None:
        """Judge a resumed trial again: it may have been killed just after a hopeless epoch."""
        if state.step:
            self._stop_if_hopeless(state)

    def on_epoch(self, state: State, row: Row) -> None:
        name = next((name for name in self.goal.names if name in row), None)
        if name is None or row[name] != row[name]:  # not evaluated, or not a number
            return
        with storing(self.directory / JOURNAL):
            storage, epoch = self._opened.storage, int(row["epoch"])
            trial = trial_id(storage, self.number)
            if epoch not in storage.get_trial(trial).intermediate_values:  # it may be, if the trial was interrupted
                storage.set_trial_intermediate_value(trial, epoch, row[name])
        self._stop_if_hopeless(state)

    def _stop_if_hopeless(self, state: State) -> None:
        if state.ending() or state.epoch >= self.epochs:
            return  # it ends by itself
        with storing(self.directory / JOURNAL):
            study = self._opened.study
            trial = self._opened.storage.get_trial(trial_id(self._opened.storage, self.number))
            hopeless = study.pruner.prune(study, trial)
        if hopeless:
            reached = metric(self.goal.names[0], trial.intermediate_values[max(trial.intermediate_values)])
            state.stop = f"{PRUNED}: {self.goal.names[0]} {reached} after epoch {state.epoch}"

    @cached_property
    def _opened(self) -> Opened:
        return Opened(self.directory, self.settings, self.usual, self.goal.direction)
