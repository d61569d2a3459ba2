"""The text of a model card: what a model is, how good it is and how it is used, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.engine.bootstrap import RESAMPLES, Intervals
from trainer.engine.measures import MEASURES
from trainer.show import report
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
            "## How good it is\n",
            f"On the {escaped(self.evaluated)}:\n",
            table(("", "value", "95% interval"), self.figures),
            f"The intervals are those of {RESAMPLES:,} bootstrap resamples: they say how far a figure moves with\n"
            "other samples of the same kind, not with another training.\n",
            *(f"![{escaped(says)}]({path})\n" for path, says in self.pictures),
            "## How to use it\n",
            "`RUN` stands for the folder of this file.\n",
            code(use, "bash"),
            code(('model = trainer.load("RUN")  # import trainer', "answers = model(samples)"), "python"),
            "## What it was trained on\n",
            listed(self.data),
            *([table(*self.classes)] if self.classes is not None else []),
            "## How it was trained\n",
            code((self.typed,), "bash"),
            listed(self.recipe),
            "## Its limits\n",
            listed(("", line) for line in self.limits),
        ]
        return "\n".join(parts)


def figures(metrics: Mapping[str, float], intervals: Intervals) -> Rows:
    """Label, value and interval of each metric, by the names of `MEASURES`; of the MSE also its root."""
    rows = []
    for name, value in metrics.items():
        span = intervals.get(name, ())
        label = MEASURES[name].label if name in MEASURES else name
        rows.append((label, report.metric(name, value), spanned(name, span)))
        if name == "mse":
            rows.append(("RMSE", report.metric("", value**0.5), spanned("", [end**0.5 for end in span])))
    return rows


def spanned(name: str, span: Sequence[float]) -> str:
    """`96.55% to 97.24%`; nothing of no interval."""
    return " to ".join(report.metric(name, end) for end in span)
