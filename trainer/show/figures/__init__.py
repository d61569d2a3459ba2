"""The pictures of how a model does on a split, each made of its outcome: one module per picture."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.show.figures import confusion, mistakes, reliability, residuals, roc
from trainer.show.lettering import lettering

LARGEST = 1e100  # an output beyond it cannot be squared


def of(outcome: Outcome) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each picture that suits the outcome; `plots.render` gives its pixels."""
    # Weights that are not finite can be tested where that is asked for (on_nan=ignore), and have a confusion alone.
    usual = bool((outcome.outputs.abs() < LARGEST).all())
    each = {
        "confusion": confusion,
        "reliability": reliability,
        "roc": roc,
        "residuals": residuals,
        "mistakes": mistakes,
    }
    for name, picture in each.items():
        if picture is not confusion and not usual:
            continue
        with lettering():
            figure = picture.draw(outcome)
        if figure is not None:
            yield name, figure
