"""The text of a model card: what a model is, how good it is and how it is used, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.engine.bootstrap import RESAMPLES, Intervals
from trainer.engine.measures import measure
from trainer.show import values
from trainer.show.markdown import code, escaped, listed, table
from trainer.show.report import Facts

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Card:
    """What a model card says; all texts are plain ones, and are escaped.

    `evaluated` are the samples that `figures` are of: rows of what `figures` gives. `classes` are a header and rows.
    `typed` is the command that made the model, `example` an input that `trainer predict` takes, and `pictures` are
    paths beside the card, of plain letters, with what they show.
    """

    title: str
    summary: str
    evaluated: str
    figures: Rows
    data: Facts
    recipe: Facts
    limits: Sequence[str]
    typed: str
    example: str
    classes: tuple[Sequence[str], Rows] | None = None
    pictures: Sequence[tuple[str, str]] = ()

    def text(self) -> str:
        """The card in Markdown."""
        use = (f"trainer predict RUN input={self.example}", "trainer eval RUN", "trainer export RUN format=onnx")
        parts = [
            f"# {escaped(self.title)}\n",
            f"{escaped(self.summary)}\n",
            "## How good it is\n",
            f"On the {escaped(self.evaluated)}:\n",
            table(("", "value", "95% interval"), self.figures),
            f"The intervals are those of {RESAMPLES:,} bootstrap resamples: they say how far a figure moves with\n"
            "other samples of the same kind, not with another training.\n",
            *(f"![{escaped(says)}]({path})\n" for path, says in self.pictures),
            "## How to use it\n",
            "`RUN` stands for the folder of this file.\n",
            code(use, "bash"),
            code(("import trainer", "", 'model = trainer.load("RUN")', "answers = model(samples)"), "python"),
            "## What it was trained on\n",
            listed(self.data),
            *([table(*self.classes)] if self.classes is not None else []),
            "## How it was trained\n",
            code((self.typed,), "bash"),
            listed(self.recipe),
            "## Its limits\n",
            listed(("", f"{line[:1].upper()}{line[1:]}.") for line in self.limits),
        ]
        return "\n".join(parts)


def figures(metrics: Mapping[str, float], intervals: Intervals) -> Rows:
    """Label, value and interval of each metric, by the names of `measures`; of the MSE also its root."""
    rows = []
    for name, value in metrics.items():
        ends = intervals.get(name, ())
        rows.append((measure(name).label, values.metric(name, value), values.span(name, ends)))
        if name == "mse":
            rows.append(("RMSE", values.metric("", value**0.5), values.span("", [end**0.5 for end in ends])))
    return rows
