"""The pictures of how a model does on a split, each made of its outcome: one module per picture."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.show.figures import confusion, mistakes, reliability, residuals, roc
from trainer.show.lettering import lettering


def of(outcome: Outcome, threshold: float | None = None) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each picture that suits the outcome; `plots.render` gives its pixels.

    `threshold` is the probability from which on the second of two classes is predicted, where it is not 0.5.
    """
    each = {
        "confusion": confusion,
        "reliability": reliability,
        "roc": roc,
        "residuals": residuals,
        "mistakes": mistakes,
    }
    for name, picture in each.items():
        with lettering():
            figure = picture.draw(outcome, threshold)
        if figure is not None:
            yield name, figure
