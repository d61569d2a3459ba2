"""A whole training through the command line against the loop that one would write by hand.

By hand: float images in one contiguous tensor, indexed by the epoch's order; the default optimizer; no
channels-last memory, no fused kernel, no uint8, no hooks. Kernels differ, so convolutional models agree within
1e-5 of each weight after two epochs; a linear model, whose kernels are the same but for the optimizer's, within 1e-6.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import Trainer
from running import SILENT, train, weights
from torch import Tensor

from trainer import data, models
from trainer.data.batches import generator
from trainer.data.sets.digits import Digits

EPOCHS, SIZE = 2, 50


def by_hand(name: str, keys: dict[str, Any], make: Any) -> dict[str, Tensor]:
    loaded = data.load(Digits(cache=None, limit=430))
    assert loaded.mean is not None
    assert loaded.std is not None
    inputs = ((loaded.train.inputs.float() / 255 - loaded.mean[0]) / loaded.std[0]).contiguous()
    targets = loaded.train.targets
    torch.manual_seed(7)
    model = models.make(name, **keys)
    optimizer = make(model.parameters())
    for epoch in range(EPOCHS):
        order = torch.randperm(len(targets), generator=generator(7, epoch, "order"))
        for start in range(0, len(targets), SIZE):
            rows = order[start : start + SIZE]
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    return model.state_dict()


LENET = {"in_channels": 1, "image_size": 28, "num_classes": 10}
LINEAR = {"in_features": 784, "out_features": 10}


@pytest.mark.parametrize(
    ("name", "keys", "optim", "make", "tolerance"),
    [
        ("lenet", LENET, ("optim=sgd", "optim.momentum=0.9"), lambda p: torch.optim.SGD(p, 0.01, 0.9), 1e-5),
        ("lenet", LENET, ("optim=adamw",), lambda p: torch.optim.AdamW(p, 1e-3), 1e-5),
        ("lenet5", LENET, ("optim=sgd",), lambda p: torch.optim.SGD(p, 0.01), 1e-5),
        ("linear", LINEAR, ("optim=sgd",), lambda p: torch.optim.SGD(p, 0.01), 1e-6),
    ],
    ids=["lenet-sgd", "lenet-adamw", "lenet5-sgd", "linear-sgd"],
)
@pytest.mark.parametrize("placement", ["device", "stream"])
def test_the_fast_paths_train_the_model_that_a_plain_loop_trains(
    trainer: Trainer,
    name: str,
    keys: dict[str, Any],
    optim: tuple[str, ...],
    make: Any,
    tolerance: float,
    placement: str,
) -> None:
    options = (f"model={name}", f"epochs={EPOCHS}", "seed=7", "data.limit=430", f"data.batch_size={SIZE}", *SILENT)
    run = train(trainer, *options, *optim, f"data.placement={placement}")
    found = weights(run)
    for key, expected in by_hand(name, keys, make).items():
        torch.testing.assert_close(found[key], expected, rtol=0, atol=tolerance)
