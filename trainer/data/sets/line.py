"""Points along a line: the first regression of many a tutorial."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.config.data import Data
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Line(Data):
    """y = 2x + 5 + U(0, 1) at 40 points in [-1, 1]."""

    classifies: ClassVar[bool | None] = False
    name: str = key("line", "registry name")
    data_seed: int = key(0, "seed of the noise", minimum=0)


def load(config: Line, track: "Track[object]") -> "Dataset":
    """y = 2x + 5 + U(0, 1) at x = linspace(-1, 1, 40); the test split has x at random and noise of its own."""
    import torch

    from trainer.data.splits import Dataset, Split

    def noisy(x: torch.Tensor) -> torch.Tensor:
        return 2 * x + 5 + torch.rand(x.shape, dtype=x.dtype, generator=generator)

    generator = torch.Generator().manual_seed(config.data_seed)
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    train = Split(x, noisy(x))
    x = torch.rand(40, 1, dtype=torch.float64, generator=generator) * 2 - 1
    return Dataset("line", train=train, test=Split(x, noisy(x)))
