"""The mode of a model: training or evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode within the block, and afterwards each layer into the mode that it was in.

    A frozen layer of batch normalisation is in evaluation mode though its model is trained.
    """
    was_training = model.training
    resting = [module for module in model.modules() if not module.training]
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)  # a model of the user's may have a `train` of its own
        for module in resting:
            module.training = False
