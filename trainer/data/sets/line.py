"""Points along a line: the first regression of many a tutorial."""

import torch

from trainer.config import schema
from trainer.data.splits import Dataset, Split, Track


def load(config: schema.Line, track: Track[object]) -> Dataset:
    """y = 2x + 5 + U(0, 1) at x = linspace(-1, 1, 40); the test split has x at random and noise of its own."""
    generator = torch.Generator().manual_seed(config.data_seed)
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    train = Split(x, _noisy(x, generator))
    x = torch.rand(40, 1, dtype=torch.float64, generator=generator) * 2 - 1
    return Dataset("line", train=train, test=Split(x, _noisy(x, generator)))


def _noisy(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return 2 * x + 5 + torch.rand(x.shape, dtype=x.dtype, generator=generator)
