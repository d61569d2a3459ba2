"""What the pictures of an outcome have in common: width, letters and what their titles say."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from trainer.engine.outcome import Outcome
from trainer.system.shown import counted

Numbers = np.ndarray[Any, Any]
WIDTH = 7.5  # inches: at 120 dpi as wide as a page of text on a screen
SMALL, LETTERS, TITLE = 7, 8, 10  # points
PLAIN, WRONG = "tab:blue", "tab:red"


def of_split(outcome: Outcome) -> str:
    """`test split, 10,000 samples`."""
    name = "all data" if outcome.split == "all" else f"{outcome.split} split"
    return f"{name}, {counted(len(outcome), 'sample')}"


def titled(axes: Axes, what: str, outcome: Outcome) -> None:
    """Say above `axes` what they show, and of what."""
    axes.set_title(f"{what}\n{of_split(outcome)}", fontsize=TITLE)
