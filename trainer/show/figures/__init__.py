"""The pictures of how a model does on a split, each made of its outcome: one module per picture."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.show.figures import confusion
from trainer.show.lettering import lettering


def of(outcome: Outcome, threshold: float | None = None) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each picture that suits the outcome; `plots.render` gives its pixels.

    `threshold` is the probability from which on the second of two classes is predicted, where it is not 0.5.
    """
    for name, module in (("confusion", confusion),):
        with lettering():
            figure = module.draw(outcome)
        if figure is not None:
            yield name, figure
