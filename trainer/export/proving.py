"""The data set of a checkpoint, from which an exported file is proved, and a smaller one is made."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch

from trainer.data.loading import load_dataset
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset, Split
from trainer.export import quantize, samples
from trainer.export.columns import inputs_of
from trainer.export.columns_rows import cells_of
from trainer.export.samples import OfTable, Samples
from trainer.predict.predictor import Predictor
from trainer.show.report import Report
from trainer.system.errors import DataError
from trainer.system.shown import counted


class Proving:
    """The data set of a predictor, read when it is needed; `of_table` is how a file takes the rows of a table."""

    def __init__(self, predictor: Predictor, screen: Report, of_table: OfTable | None) -> None:
        self.predictor, self.screen, self.of_table = predictor, screen, of_table

    @cached_property
    def data(self) -> Dataset:
        """The data set.

        Raises:
            DataError: It is not where it was.
        """
        config, found = self.predictor.config, self.predictor.found
        try:
            return load_dataset(config, self.screen.track, None, found.description or None)
        except DataError as error:
            raise DataError(
                f"the test data are needed for the proof: {error.message}",
                f"{error.hint}; or prove it on random inputs: export.proof=random".removeprefix("; or "),
            ) from error

    def samples(self, on: str) -> tuple[Iterator[Samples], str]:
        """The samples of the proof, and what they are: of `test`, or `random`."""
        if on == "random":
            return samples.made_up(self.predictor, self.screen.track, self.of_table), "random inputs"
        split = self.data.split("test")
        if not len(split):
            raise DataError("there is no test sample for the proof", "prove it on random inputs: export.proof=random")
        return self._of("test", split), f"the test split of {self.data.name}"

    def calibrating(self) -> tuple[Iterator[Any], str]:
        """Samples from which the ranges of values are measured, as the file takes them, and what they are."""
        name = "val" if self.data.val is not None and len(self.data.val) else "train"
        split = self.data.split(name)
        drawn = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[: quantize.SAMPLES]
        split = split.take(drawn.sort().values)
        what = f"{counted(len(split), 'sample')} of the {'validation' if name == 'val' else 'training'} split"
        return (part.given for part in self._of(name, split)), what

    def _of(self, name: str, split: Split) -> Iterator[Samples]:
        plan, section, table = self.predictor.plan, self.predictor.config.data, None
        if plan is not None and self.of_table is not None:
            assert isinstance(section, Table)
            table = self.of_table(inputs_of(plan), cells_of(section, name, split, plan), len(split))
        return samples.of_split(self.predictor, split, self.screen.track, table)
