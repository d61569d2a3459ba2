"""Points of a parabola, for a small network to fit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.config.data import Data
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Quadratic(Data):
    """y = x² - 0.5x + 1.5625 at 10 points in [0, 1]; tested half-way between them."""

    classifies: ClassVar[bool | None] = False
    name: str = key("quadratic", "registry name")


def load(config: Quadratic, track: "Track[object]") -> "Dataset":
    """y = x² - 0.5x + 1.5625 at x = linspace(0, 1, 10); the test split lies half-way between those points."""
    import torch

    from trainer.data.splits import Dataset, Split

    def curve(x: torch.Tensor) -> torch.Tensor:
        return x**2 - 0.5 * x + 1.5625

    x = torch.linspace(0, 1, 10, dtype=torch.float64)[:, None]
    between = (x[1:] + x[:-1]) / 2
    return Dataset("quadratic", train=Split(x, curve(x)), test=Split(between, curve(between)))
