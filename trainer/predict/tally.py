"""What all predictions come to, counted while they are made."""

from collections import Counter

import polars as pl
import torch

from trainer.predict.columns import Columns
from trainer.predict.sources import Block
from trainer.show.report import Facts
from trainer.system.shown import shortened

SHOWN = 10  # rows on the screen
_CLASSES = 6  # that are listed


class Tally:
    """Counts inputs, broken ones, the classes that are predicted, and how often the members agree."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.first: list[pl.DataFrame] = []
        self.total = self.broken = 0
        self.counts: Counter[str | None] = Counter()
        self.low, self.high = float("inf"), float("-inf")
        self.unanimous = self.pairs = self.spread = 0.0

    def add(self, block: Block, frame: pl.DataFrame) -> None:
        """Count the rows of a block, which are written as `frame`."""
        if self.total < SHOWN:
            self.first.append(frame.head(SHOWN - self.total))
        self.total += len(block)
        self.broken += len(block.reasons)
        used = torch.tensor([place for place in range(len(block)) if place not in block.reasons], dtype=torch.long)
        good = frame.filter(frame["error"].is_null())
        if not len(good):
            return
        members = len(block.said.each)
        if self.columns.classes is None:
            values = block.said.likely[used]
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.spread += float(block.said.each[:, used].std(0).mean(1).sum()) if members > 1 else 0.0
            return
        for name, count in good["predicted"].value_counts(sort=False).sort("predicted").iter_rows():
            self.counts[name] += count
        if members > 1:
            votes = self.columns.votes(block.said)[:, used]
            alike = torch.nn.functional.one_hot(votes, len(self.columns.places)).sum(0).double()  # (N, classes)
            self.unanimous += float((alike == members).any(1).sum())
            self.pairs += float((alike * (alike - 1)).sum()) / (members * (members - 1))

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """The header and the cells of the first rows, as they are shown."""
        frame = pl.concat(self.first)
        names = [name for name in frame.columns if not name.startswith("p_")]
        names = [name for name in names if name != "error" or frame["error"].is_not_null().any()]
        return names, [
            [_cell(name, value) for name, value in zip(names, row, strict=True)] for row in frame[names].rows()
        ]

    def facts(self) -> Facts:
        """What they come to, in labelled lines."""
        good = self.total - self.broken
        members = len(self.columns.together)
        if not good:
            return []
        if self.columns.classes is None:
            facts = [("predicted", f"from {self.low:.6g} to {self.high:.6g}")]
            if members > 1:
                deviation = f"{self.spread / good:.4g} on average"
                facts.append(("agreement", f"an input's predictions have a standard deviation of {deviation}"))
            return facts
        common = self.counts.most_common()
        classes = [("no class" if name is None else shortened(name, 40), count) for name, count in common[:_CLASSES]]
        said = [f"{name}: {count:,}" for name, count in classes]
        more = [f"{len(common) - _CLASSES:,} more classes"] if len(common) > _CLASSES else []
        facts = [("predicted", ", ".join([*said, *more]))]
        if members > 1:
            every, two = 100 * self.unanimous / good, 100 * self.pairs / good
            facts.append(("agreement", f"all name the same class for {every:.2f}%, two of them for {two:.2f}%"))
        return facts


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        share = name.endswith("probability") or name == "agreement"
        return f"{100 * value:.2f}%" if share else f"{value:.6g}"
    return str(value)
