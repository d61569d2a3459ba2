"""The losses against torch's modules."""

import pytest
import torch
from torch import nn

from trainer.engine import losses


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(9, 4, generator=generator), torch.randint(4, (9,), generator=generator)


def values() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(9, 2, generator=generator), torch.randn(9, 2, generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_and_smooths_only_in_training(smoothing: float) -> None:
    loss = losses.make("cross_entropy", smoothing)
    assert loss.mean
    assert torch.equal(loss.function(*logits()), nn.CrossEntropyLoss()(*logits()))
    assert torch.equal(loss.training_function(*logits()), nn.CrossEntropyLoss(label_smoothing=smoothing)(*logits()))


def test_mse_is_torchs() -> None:
    loss = losses.make("mse")
    assert loss.mean
    assert torch.equal(loss.function(*values()), nn.MSELoss()(*values()))
    assert torch.equal(loss.training_function(*values()), nn.MSELoss()(*values()))


def test_half_sse_is_half_the_summed_squared_error() -> None:
    loss = losses.make("half_sse")
    assert not loss.mean
    expected = 0.5 * nn.MSELoss(reduction="sum")(*values())
    torch.testing.assert_close(loss.function(*values()), expected)
    torch.testing.assert_close(loss.training_function(*values()), expected)


def test_weights_of_classes_are_torchs_but_for_what_a_batch_is_divided_by() -> None:
    weights = torch.tensor([0.5, 2.0, 1.0, 0.0])
    loss = losses.make("cross_entropy", weights=weights)
    assert torch.equal(loss.function(*logits()), nn.CrossEntropyLoss()(*logits()))  # an evaluation weighs nothing
    expected = nn.CrossEntropyLoss(weight=weights, reduction="sum")(*logits()) / len(logits()[1])
    torch.testing.assert_close(loss.training_function(*logits()), expected)


def test_weighed_batches_add_up_to_one() -> None:
    outputs, targets = logits()
    loss = losses.make("cross_entropy", 0.1, torch.tensor([0.5, 2.0, 1.0, 3.0]))
    parts = zip(outputs.split(4), targets.split(4), strict=True)
    total = sum(loss.training_function(x, y) * len(y) for x, y in parts) / len(targets)
    torch.testing.assert_close(total, loss.training_function(outputs, targets))


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "smoothing"), [("cross_entropy", 0.1), ("mse", 0.0), ("half_sse", 0.0)])
def test_the_losses_of_several_models_are_those_of_each(
    name: str, smoothing: float, training: bool, shared: bool, weighed: bool
) -> None:
    loss = losses.make(name, smoothing, torch.tensor([0.5, 2.0, 1.0, 3.0]) if weighed else None)
    outputs, targets = logits() if name == "cross_entropy" else values()
    outputs = torch.stack([outputs, 2 * outputs, -outputs])
    each = [targets] * 3 if shared else [targets, targets.flip(0), targets.roll(1, 0)]
    one = loss.training_function if training else loss.function
    expected = torch.stack([one(*job) for job in zip(outputs, each, strict=True)])
    found = loss.of_each(outputs, targets if shared else torch.stack(each), training)
    torch.testing.assert_close(found, expected)


def test_models_may_have_weights_of_their_own() -> None:
    outputs, targets = logits()
    each = [losses.make("cross_entropy", 0.1, torch.tensor(own)) for own in ([0.5, 2, 1, 3], [1.0, 1, 0, 2])]
    expected = torch.stack([loss.training_function(outputs, targets) for loss in each])
    together = losses.stacked(each)
    torch.testing.assert_close(together.of_each(torch.stack([outputs] * 2), targets, training=True), expected)
    plain = torch.stack([each[0].function(outputs, targets)] * 2)
    torch.testing.assert_close(together.of_each(torch.stack([outputs] * 2), targets), plain)


def test_a_name_that_no_config_lets_through_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="hinge"):
        losses.make("hinge")
