"""Optuna's study of a search, in the sweep's directory: what was tried, with what result, and what to try next."""

import copy
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
from filelock import FileLock
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from trainer.config.search import Optuna
from trainer.sweeps.search.journal import ANEW, JOURNAL, NAME, ROUND
from trainer.system.atomic import cut_to_lines
from trainer.system.errors import RunError

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the screen is trainer's
ENOUGH = 4  # so many different results, before a forest can tell what matters
DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}


class Opened:
    """The study and its journal, to which other processes write as well."""

    def __init__(self, directory: Path, settings: Optuna, epochs: int, direction: str) -> None:
        """Open the study in `directory`, or make it. Hyperband assumes that each trial has so many `epochs`.

        Raises:
            RunError: the journal is damaged.
            OSError: it cannot be read, or written.
        """
        path = directory / JOURNAL
        try:
            # Optuna's own locks outlive a process that is killed; the system ends this one with it.
            backend = JournalFileBackend(str(path), lock_obj=FileLock(f"{path}.lock"))  # type: ignore[arg-type]
            self.storage: BaseStorage = JournalStorage(backend)
            if not self.storage.get_all_studies():
                optuna.create_study(study_name=NAME, storage=self.storage, direction=DIRECTIONS[direction])
            self.study: Study = optuna.load_study(
                study_name=NAME,
                storage=self.storage,
                sampler=samplers.RandomSampler(),
                pruner=pruner(settings, epochs),
            )
        except (ValueError, LookupError, TypeError, AssertionError) as error:
            raise RunError(f"{path} is damaged", ANEW) from error
        self._memory = InMemoryStorage()
        # Values are chosen in a copy of the study, since Optuna writes them one by one to the study they are chosen in.
        self._copy = optuna.create_study(
            study_name=NAME, storage=self._memory, direction=self.study.direction, pruner=self.study.pruner
        )

    def ask(self, ranges: dict[str, BaseDistribution], settings: Optuna, begins: bool = True) -> FrozenTrial:
        """A new trial with all its values, which the journal gets in one line: whole, or not at all.

        It `begins` a round, or is in that of the trial before it. The values follow from the trials so far,
        `settings.seed` and the trial's number.

        Raises:
            OSError: the journal cannot be written.
        """
        number = self._bring_copy_up_to_date()
        self._copy.sampler = sampler(settings, number)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Clip non-finite values")  # those of trials that failed
            chosen = self._copy.ask(ranges)
        assert chosen.number == number
        before = None if begins else self.study.get_trials(deepcopy=False)[-1].user_attrs.get(ROUND)
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=chosen.params,
                distributions=chosen.distributions,
                user_attrs={ROUND: number if before is None else before},
            )
        )
        return self.study.get_trials(deepcopy=False)[number]

    def _bring_copy_up_to_date(self) -> int:
        """Tell the copy what the journal has heard of its trials, and of others; the number of trials.

        A trial that failed, by a loss that was not finite as a rule, counts as worse than any other there: the sampler
        would forget it, and try the like again.
        """
        trials, copies = (study.get_trials(deepcopy=False) for study in (self.study, self._copy))
        for trial, own in zip(trials, copies, strict=False):
            if own.state.is_finished():
                continue
            number = trial_id(self._memory, trial.number)
            for epoch, value in trial.intermediate_values.items():
                self._memory.set_trial_intermediate_value(number, epoch, value)
            if trial.state.is_finished():
                self._memory.set_trial_state_values(number, *self._judged(trial))
        self._copy.add_trials(map(self._as_judged, trials[len(copies) :]))
        return len(trials)

    def _judged(self, trial: FrozenTrial) -> tuple[TrialState, Sequence[float] | None]:
        """State and values of a trial as the sampler sees them."""
        if trial.state is not TrialState.FAIL:
            return trial.state, trial.values
        return TrialState.COMPLETE, [math.inf if self.study.direction is StudyDirection.MINIMIZE else -math.inf]

    def _as_judged(self, trial: FrozenTrial) -> FrozenTrial:
        trial = copy.copy(trial)
        trial.state, trial.values = self._judged(trial)
        return trial


def trial_id(storage: BaseStorage, number: int) -> int:
    """The key of a trial of the search in `storage`."""
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(NAME), number)


def importance(found: Study) -> dict[str, float]:
    """How much of the differences in the objective each key explains (fANOVA); empty if it cannot be told."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # late: pruners need none of it

    values = {trial.value for trial in found.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if len(values) < ENOUGH:
        return {}
    try:
        shares = get_param_importances(found, evaluator=FanovaImportanceEvaluator(seed=0))
    except (ValueError, RuntimeError):  # of values that are not finite, or of a key that had one value
        return {}
    return {key: share for key, share in shares.items() if math.isfinite(share)}


def mend(directory: Path) -> None:
    """Take away a last line of the journal that was cut off when the power failed.

    Raises:
        OSError: the journal cannot be written.
    """
    path = directory / JOURNAL
    if not path.exists():
        return
    with FileLock(f"{path}.lock"), path.open("rb+") as file:
        cut_to_lines(file)


def sampler(settings: Optuna, number: int) -> samplers.BaseSampler:
    """The sampler that chooses the values of trial `number`.

    Each trial has its own, which draws the same numbers whether the search was interrupted or not.
    """
    seed = int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0])
    if settings.sampler == "random":
        return samplers.RandomSampler(seed)
    if settings.sampler == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=settings.startup)
    return samplers.TPESampler(seed=seed, n_startup_trials=settings.startup)


def pruner(settings: Optuna, epochs: int) -> pruners.BasePruner:
    """The pruner, which judges by a trial's values of some epochs whether it is hopeless."""
    if settings.pruner == "none":
        return pruners.NopPruner()
    if settings.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    return pruners.MedianPruner(n_startup_trials=settings.startup)
