"""The training that is looked at: its config, its data, and its parts, made anew for each look that changes them."""

import copy
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from trainer.config.train import Train
from trainer.data.splits import Dataset, Split
from trainer.data.table.columns import understood
from trainer.preflight.samples import Samples, read, rows_of
from trainer.run import starting
from trainer.run.parts import Parts, assemble
from trainer.show.report import Report
from trainer.system.paths import quoted

FEW, FEW_BYTES = 2000, 2**27  # training samples that most looks are content with, and what they take


class Subject:
    """What `trainer train` would train by this config. Nothing is written, and `config` stays as it was typed.

    Raises:
        UserError: The training would be refused: the same message as that of `trainer train`.
    """

    def __init__(self, config: Train, screen: Report, named: Collection[str] = (), out: str | None = None) -> None:
        self.config, self.screen = config, screen
        self.named, self.out = named, out  # what was asked for by name, and where the picture goes
        self.weights = starting.begun_with(config, screen)  # which `from=` begins with
        self.quiet = Report(quiet=True)
        self.first = self._assembled(screen, None, {})

    @property
    def data(self) -> Dataset:
        """The samples as they are trained on: read, limited and split."""
        return self.first.data

    @property
    def settled(self) -> Train:
        """The config with what it left to be chosen by the data; its model has its shapes."""
        return self.first.config

    def parts(self, **changes: Any) -> Parts:
        """New parts with the weights that the training begins with; the samples are shared with all others.

        `changes` are keys with other values, such as `compile="off"` or `optim__lr=0.1`. To step with them:
        `for batch in parts.batches.epoch(0): loss = parts.step([batch])`. Another batch size is
        `parts.train.batch_size = 8`, for the batches of each are its own.
        """
        changes = {"hooks": [], **changes}  # those of the user's own may begin something when they are made
        return self._assembled(self.quiet, self.first, changes)

    def _assembled(self, screen: Report, beside: Parts | None, changes: dict[str, Any]) -> Parts:
        config = copy.deepcopy(self.config)
        for key, value in changes.items():
            config.change(key.replace("__", "."), value)
        return assemble(config, screen, self.weights, beside, anew=True)

    @cached_property
    def few(self) -> Split:
        """Some training samples, read once for all looks that are content with so many."""
        return read(self.data.train, min(FEW, max(1, FEW_BYTES // (self.data.train.nbytes // len(self.data.train)))))

    @cached_property
    def rows(self) -> Samples:
        """The same as rows of numbers."""
        return rows_of(self.few)

    @cached_property
    def columns(self) -> list[tuple[str, list[int]]]:
        """The columns of a table by their names in the file, with the numbers of the features that each became."""
        data = self.data
        if data.plan is None:
            names = data.columns or [f"column {number + 1}" for number in range(data.train.shape.numel())]
            return [(name, [number]) for number, name in enumerate(names)]
        places = {name: number for number, name in enumerate(data.columns)}
        planned = [understood(column) for column in data.plan]
        return [(column.name, [places[name] for name in column.features]) for column in planned if column.features]

    def dropping(self, names: Sequence[str]) -> str:
        """What leaves columns out, as it is typed; in words where the data set is no table of ours."""
        if self.data.plan is None:
            return "leave it out of the samples" if len(names) == 1 else "leave them out of the samples"
        return quoted(f"data.drop=[{','.join(names)}]")

    def close(self) -> None:
        """End what reads batches."""
        self.first.close(at_once=True)
