"""Models against the tutorials' tables, initial weights and order of operations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer import models

Shapes = dict[str, tuple[int, ...]]


def layers(**shapes: tuple[int, ...]) -> Shapes:
    """state_dict names and shapes of layers that have a weight of the given shape and a bias."""
    found: Shapes = {}
    for name, shape in shapes.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def lenet_like(channels: int, first: int, second: int, features: int, classes: int = 10) -> Shapes:
    return layers(
        conv1=(first, channels, 5, 5),
        conv2=(second, first, 5, 5),
        fc1=(120, features),
        fc2=(84, 120),
        fc3=(classes, 84),
    )


def image_keys(channels: int, size: int, classes: int = 10) -> dict[str, Any]:
    return {"in_channels": channels, "image_size": size, "num_classes": classes}


TUTORIAL_MLP = {"in_features": 1, "out_features": 1, "hidden": 2, "activation": "sigmoid"}
MNIST_LENET = layers(conv1=(10, 1, 5, 5), conv2=(20, 10, 5, 5), fc1=(50, 320), fc2=(10, 50))
TABLE = [
    ("linear", {"in_features": 784, "out_features": 10}, (1, 28, 28), layers(linear=(10, 784)), 7_850),
    ("linear", {"in_features": 1, "out_features": 1}, (1,), layers(linear=(1, 1)), 2),
    ("mlp", TUTORIAL_MLP, (1,), layers(fc1=(2, 1), fc2=(1, 2)), 7),
    ("lenet", image_keys(1, 28), (1, 28, 28), MNIST_LENET, 21_840),
    ("cifar_lenet", image_keys(3, 32), (3, 32, 32), lenet_like(3, 16, 32, features=800), 121_182),
    ("lenet5", image_keys(3, 32), (3, 32, 32), lenet_like(3, 6, 16, features=400), 62_006),
    ("lenet5", image_keys(1, 32), (1, 32, 32), lenet_like(1, 6, 16, features=400), 61_706),
    ("lenet5", image_keys(1, 28), (1, 28, 28), lenet_like(1, 6, 16, features=400), 61_706),
    ("lenet5", image_keys(3, 32, 2), (3, 32, 32), lenet_like(3, 6, 16, features=400, classes=2), 61_326),
]


def built(name: str, keys: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    return models.make(name, **keys)


@pytest.mark.parametrize(
    ("name", "keys", "shape", "state", "parameters"),
    TABLE,
    ids=[f"{n}-{'x'.join(map(str, s))}" for n, _, s, *_ in TABLE],
)
def test_names_shapes_and_counts_are_the_tutorials(
    name: str, keys: dict[str, Any], shape: tuple[int, ...], state: Shapes, parameters: int
) -> None:
    model = built(name, keys)
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == state
    assert sum(p.numel() for p in model.parameters()) == parameters
    outputs = next(v for k, v in reversed(state.items()) if k.endswith("bias"))
    assert model(torch.zeros(3, *shape)).shape == (3, *outputs)


@pytest.mark.parametrize(("name", "keys", "shape", "state"), [row[:4] for row in TABLE])
def test_initial_weights_are_torchs(name: str, keys: dict[str, Any], shape: tuple[int, ...], state: Shapes) -> None:
    model = built(name, keys)
    torch.manual_seed(0)
    for layer in dict.fromkeys(key.split(".")[0] for key in state):
        outputs, inputs, *kernel = state[f"{layer}.weight"]
        fresh = nn.Conv2d(inputs, outputs, kernel[0]) if kernel else nn.Linear(inputs, outputs)
        assert torch.equal(model.get_submodule(layer).weight, fresh.weight), layer
        assert torch.equal(model.get_submodule(layer).bias, fresh.bias), layer


# --- the order of operations, as the tutorials write it ---------------------------------------------


def lenet(w: dict[str, Tensor], x: Tensor, training: bool = False) -> Tensor:
    x = F.relu(F.max_pool2d(F.conv2d(x, w["conv1.weight"], w["conv1.bias"]), 2))
    x = F.conv2d(x, w["conv2.weight"], w["conv2.bias"])
    x = F.relu(F.max_pool2d(F.dropout2d(x, training=training), 2))
    x = x.view(-1, 320)
    x = F.dropout(F.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"])), training=training)
    return F.linear(x, w["fc2.weight"], w["fc2.bias"])


def cifar_lenet(w: dict[str, Tensor], x: Tensor) -> Tensor:
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv2.weight"], w["conv2.bias"])), 2)
    x = torch.flatten(x, 1)
    x = F.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"]))
    x = F.relu(F.linear(x, w["fc2.weight"], w["fc2.bias"]))
    return F.linear(x, w["fc3.weight"], w["fc3.bias"])


def linear(w: dict[str, Tensor], x: Tensor) -> Tensor:
    return F.linear(x.view(len(x), -1), w["linear.weight"], w["linear.bias"])


def mlp(activation: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    def forward(w: dict[str, Tensor], x: Tensor) -> Tensor:
        hidden = activation(F.linear(x.view(len(x), -1), w["fc1.weight"], w["fc1.bias"]))
        return F.linear(hidden, w["fc2.weight"], w["fc2.bias"])

    return forward


def padded(w: dict[str, Tensor], x: Tensor) -> Tensor:
    return cifar_lenet(w, F.pad(x, (2, 2, 2, 2)))


def mlp_keys(activation: str) -> dict[str, Any]:
    return {"in_features": 12, "out_features": 4, "hidden": 5, "activation": activation}


@pytest.mark.parametrize(
    ("name", "keys", "shape", "forward"),
    [
        ("linear", {"in_features": 12, "out_features": 4}, (3, 2, 2), linear),
        ("mlp", mlp_keys("sigmoid"), (12,), mlp(torch.sigmoid)),
        ("mlp", mlp_keys("relu"), (3, 2, 2), mlp(torch.relu)),
        ("mlp", mlp_keys("tanh"), (12,), mlp(torch.tanh)),
        ("lenet", image_keys(1, 28), (1, 28, 28), lenet),
        ("cifar_lenet", image_keys(3, 32), (3, 32, 32), cifar_lenet),
        ("lenet5", image_keys(3, 32), (3, 32, 32), cifar_lenet),
        ("lenet5", image_keys(1, 28), (1, 28, 28), padded),
    ],
)
def test_forward_is_the_tutorials(
    name: str, keys: dict[str, Any], shape: tuple[int, ...], forward: Callable[[dict[str, Tensor], Tensor], Tensor]
) -> None:
    model = built(name, keys).eval()
    x = torch.randn(5, *shape)
    torch.testing.assert_close(model(x), forward(model.state_dict(), x))


def test_lenet_drops_channels_and_units_where_the_tutorial_does() -> None:
    model, x = built("lenet", image_keys(1, 28)), torch.randn(5, 1, 28, 28)
    torch.manual_seed(1)
    found = model(x)
    torch.manual_seed(1)
    torch.testing.assert_close(found, lenet(dict(model.named_parameters()), x, training=True))


def test_without_dropout_training_and_evaluation_are_the_same() -> None:
    model, x = built("lenet", image_keys(1, 28) | {"dropout": 0.0}), torch.randn(5, 1, 28, 28)
    assert torch.equal(model(x), model.eval()(x))


@pytest.mark.parametrize("name", ["lenet", "cifar_lenet"])
def test_images_that_the_layers_would_shrink_to_nothing_are_refused(name: str) -> None:
    assert models.make(name, **image_keys(1, 16))(torch.zeros(1, 1, 16, 16)).shape == (1, 10)
    with pytest.raises(ValueError, match="images of 15x15 are too small: 16x16 is the least"):
        models.make(name, **image_keys(1, 15))


@pytest.mark.parametrize("size", [20, 27, 28, 31])
def test_lenet5_pads_images_below_32_to_it(size: int) -> None:
    model = models.make("lenet5", **image_keys(1, size))
    assert model.get_submodule("fc1").in_features == 400
    assert model(torch.zeros(1, 1, size, size)).shape == (1, 10)


# --- hidden layers ------------------------------------------------------------------------------------


def mlp(**keys: Any) -> nn.Module:
    return built("mlp", {"in_features": 5, "out_features": 3, "activation": "relu", **keys})


def test_an_mlp_has_the_hidden_layers_that_are_asked_for() -> None:
    model = mlp(hidden=[4, 6], activation="gelu", norm="batch", dropout=0.25)
    kinds = [(name, type(module)) for name, module in model.named_children()]
    first = [("fc1", nn.Linear), ("fc1_norm", nn.BatchNorm1d), ("fc1_act", nn.GELU), ("fc1_drop", nn.Dropout)]
    second = [("fc2", nn.Linear), ("fc2_norm", nn.BatchNorm1d), ("fc2_act", nn.GELU), ("fc2_drop", nn.Dropout)]
    assert kinds == [*first, *second, ("fc3", nn.Linear)]
    assert [module.p for module in model.children() if isinstance(module, nn.Dropout)] == [0.25, 0.25]
    torch.manual_seed(0)
    plain = nn.Sequential(
        *(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Dropout(0.25)),
        *(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(0.25), nn.Linear(6, 3)),
    )
    x = torch.rand(8, 5)
    torch.manual_seed(1)
    found = model(x)
    torch.manual_seed(1)
    assert torch.equal(found, plain(x))


def test_one_hidden_layer_is_the_same_written_as_a_list() -> None:
    one, listed = mlp(hidden=7).state_dict(), mlp(hidden=[7]).state_dict()
    assert list(one) == list(listed) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert all(torch.equal(one[name], listed[name]) for name in one)
    assert list(mlp(hidden=[]).state_dict()) == ["fc1.weight", "fc1.bias"]
    with pytest.raises(ValueError, match="101 hidden layers are too many: 100 are the most"):
        mlp(hidden=[1] * 101)
