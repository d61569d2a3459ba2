"""Ends a trial that is hopeless, judged by what the other trials had reached at the same epoch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from optuna.trial import FrozenTrial

from trainer.config.search import Optuna
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.run.records import PRUNED
from trainer.show.values import metric
from trainer.sweeps.search.goal import Goal
from trainer.sweeps.search.journal import HOPELESS, JOURNAL
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
        """End a resumed trial that was killed just after it had been found hopeless."""
        if state.step:
            with storing(self.directory / JOURNAL):
                self._stop_if_found_hopeless(state, self._trial())

    def on_epoch(self, state: State, row: Row) -> None:
        name = next((name for name in self.goal.names if name in row), None)
        if name is None or row[name] != row[name]:  # not evaluated, or not a number
            return
        with storing(self.directory / JOURNAL):
            storage, study, epoch = self._opened.storage, self._opened.study, int(row["epoch"])
            key, noted = trial_id(storage, self.number), self._trial().intermediate_values
            if epoch < max(noted, default=0):  # it was killed later: this epoch has been judged
                return
            if epoch not in noted:
                storage.set_trial_intermediate_value(key, epoch, row[name])
            if state.stop or state.epoch >= self.epochs:
                return  # it ends by itself
            trial = self._trial()
            if HOPELESS not in trial.user_attrs and study.pruner.prune(study, trial):
                storage.set_trial_user_attr(key, HOPELESS, epoch)
                trial = self._trial()
            self._stop_if_found_hopeless(state, trial)

    def _stop_if_found_hopeless(self, state: State, trial: FrozenTrial) -> None:
        """End a trial that was found hopeless after this epoch: once, by what was known of the others then."""
        if trial.user_attrs.get(HOPELESS) == state.epoch and state.epoch in trial.intermediate_values:
            reached = metric(self.goal.names[0], trial.intermediate_values[state.epoch])
            state.stop = f"{PRUNED}: {self.goal.names[0]} {reached} after epoch {state.epoch}"

    def _trial(self) -> FrozenTrial:
        return self._opened.storage.get_trial(trial_id(self._opened.storage, self.number))

    @cached_property
    def _opened(self) -> Opened:
        return Opened(self.directory, self.settings, self.usual, self.goal.direction)
