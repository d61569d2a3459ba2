"""What ranks draw for their samples is what one process draws for them: dropout, depth and noise of any kind."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer.engine.ranks.draws import Draws

COUNT, SHARES = 7, (slice(0, 2), slice(2, 4), slice(4, 7))


class Of(nn.Module):
    """A layer of somebody's own that does as `function` says."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * self.weight, *self.layers)


def attention(x: Tensor, layer: nn.Module) -> Tensor:
    found: Tensor = layer(x, x, x)[0]
    return found


def depth(x: Tensor) -> Tensor:
    """As torchvision and timm drop residual branches."""
    return x * x.new_empty((len(x), 1, 1)).bernoulli_(0.5)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "dropout": nn.Dropout,
    "dropout in place": lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(inplace=True)),
    "channels": nn.Dropout1d,
    "alpha": lambda: nn.AlphaDropout(0.3),
    "channels alpha": lambda: nn.FeatureAlphaDropout(0.3),
    "attention": lambda: Of(attention, nn.MultiheadAttention(4, 2, dropout=0.5, batch_first=True)),
    "attention by time": lambda: Of(
        lambda x, layer: attention(x.transpose(0, 1), layer).transpose(0, 1), nn.MultiheadAttention(4, 2, dropout=0.5)
    ),
    "recurrent": lambda: Of(lambda x, layer: layer(x)[0], nn.LSTM(4, 3, num_layers=2, dropout=0.5, batch_first=True)),
    "in a function": lambda: Of(lambda x: F.dropout(x, 0.4)),
    "of tokens": lambda: Of(lambda x: F.dropout(x.flatten(0, 1), 0.4).view(x.shape)),
    "turned": lambda: Of(lambda x, layer: layer(x.transpose(1, 2)), nn.Dropout()),
    "depth": lambda: Of(depth),
    "noise": lambda: Of(lambda x: x + torch.randn_like(x)),
    "noise of a shape": lambda: Of(lambda x: x + torch.randn(len(x), 1, 4)),
    "shares": lambda: Of(lambda x: x * torch.bernoulli(torch.sigmoid(x))),
    "noise on weights": lambda: Of(lambda x: x + torch.randn(11)[3]),
    "computed again": lambda: Of(
        lambda x, layer: checkpoint(layer, x, use_reentrant=False), nn.Sequential(nn.Dropout(), nn.Tanh())
    ),
}


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_ranks_draw_for_their_samples_what_one_process_draws(name: str, looks: bool) -> None:
    torch.manual_seed(0)
    model, x = LAYERS[name](), torch.randn(COUNT, 5, 4)
    if not looks and isinstance(model, Of) and not model.layers:
        pytest.skip("it draws outside of layers, which is seen when it is looked at")
    torch.manual_seed(1)
    whole = x.clone().requires_grad_()
    expected = model(whole)
    expected.square().sum().backward()
    after = torch.rand(1)
    draws = Draws(model)
    for rows in SHARES:
        draws.steps = 0 if looks else 1
        part = x[rows].clone().requires_grad_()
        torch.manual_seed(1)
        with draws.of(rows, len(part), COUNT):
            found = model(part)
        found.square().sum().backward()
        draws.rest()
        torch.testing.assert_close(found, expected[rows])
        torch.testing.assert_close(part.grad, whole.grad[rows] if whole.grad is not None else None)
        assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.Dropout2d()])
def test_masks_of_images_lie_as_the_images_do(layer: nn.Module) -> None:
    x = torch.randn(COUNT, 3, 4, 4).to(memory_format=torch.channels_last)
    torch.manual_seed(1)
    expected = layer(x)
    draws = Draws(layer)
    for rows in SHARES:
        torch.manual_seed(1)
        with draws.of(rows, len(x[rows]), COUNT):
            assert torch.equal(layer(x[rows]), expected[rows])


def test_a_model_is_watched_for_good_once_it_has_drawn_outside_of_known_layers() -> None:
    for model, elsewhere in ((nn.Sequential(nn.Dropout(), nn.RReLU()), False), (Of(depth), True)):
        draws, x = Draws(model), torch.randn(2, 5, 4)
        with draws.of(slice(0, 2), 2, COUNT):
            model(x)
        assert draws.elsewhere == elsewhere


def test_outside_of_a_step_layers_draw_as_ever() -> None:
    model, x = nn.Sequential(nn.Dropout(), nn.RReLU()), torch.randn(3, 5)
    torch.manual_seed(1)
    expected = model(x)
    Draws(model)
    torch.manual_seed(1)
    assert torch.equal(model(x), expected)
