"""The pictures of how a model does on a split, each made of its outcome: one module per picture."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trainer.engine.outcome import Outcome

LARGEST = 1e100  # an output beyond it cannot be squared


def of(outcome: "Outcome", subject: str = "") -> "Iterator[tuple[str, Figure]]":
    """Yield name and figure of each picture that suits the outcome; titles name the `subject`, data and model."""
    from trainer.show.figures import confusion, predictions, reliability, residuals, roc  # late: they import torch
    from trainer.show.lettering import lettering

    # Weights that are not finite can be tested where that is asked for (on_nan=ignore), and have a confusion alone.
    usual = bool((outcome.outputs.abs() < LARGEST).all())
    each = {
        "confusion": confusion,
        "reliability": reliability,
        "roc": roc,
        "residuals": residuals,
        "predictions": predictions,
    }
    for name, picture in each.items():
        if picture is not confusion and not usual:
            continue
        with lettering():
            figure = picture.draw(outcome, subject)
        if figure is not None:
            yield name, figure
