"""The training that is looked at: its config, its data, and its parts, made anew for each look that changes them."""

import copy
from functools import cached_property
from typing import Any

from trainer.config.train import Train
from trainer.data.splits import Dataset
from trainer.run import starting
from trainer.run.parts import Parts, assemble
from trainer.show.report import Report


class Subject:
    """What `trainer train` would train by this config. Nothing is written, and `config` stays as it was typed.

    Raises:
        UserError: The training would be refused: the same message as that of `trainer train`.
    """

    def __init__(self, config: Train, screen: Report) -> None:
        self.config, self.screen = config, screen
        self.weights = starting.begun_with(config, screen)  # which `from=` begins with
        self._quiet = Report(quiet=True)
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
        return self._assembled(self._quiet, self.first, changes)

    def _assembled(self, screen: Report, beside: Parts | None, changes: dict[str, Any]) -> Parts:
        config = copy.deepcopy(self.config)
        for key, value in changes.items():
            config.change(key.replace("__", "."), value)
        return assemble(config, screen, self.weights, beside, anew=True)

    @cached_property
    def is_table(self) -> bool:
        """Whether a sample is a row of numbers."""
        return not self.data.is_image

    def close(self) -> None:
        """End what reads batches."""
        self.first.close(at_once=True)
