"""The pictures of how a model does on a split, each made of its outcome: one module per picture."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.show.figures import confusion, mistakes, reliability, residuals, roc
from trainer.show.lettering import lettering


def of(outcome: Outcome) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each picture that suits the outcome; `plots.render` gives its pixels."""
    each = {
        "confusion": confusion,
        "reliability": reliability,
        "roc": roc,
        "residuals": residuals,
        "mistakes": mistakes,
    }
    for name, picture in each.items():
        with lettering():
            figure = picture.draw(outcome)
        if figure is not None:
            yield name, figure
