"""Models against the tutorials' tables, initial weights and order of operations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer import models
from trainer.system.errors import CheckpointError

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


# --- resnet18 -----------------------------------------------------------------------------------------


def resnet(**keys: Any) -> nn.Module:
    return models.make("resnet18", in_channels=3, num_classes=4, **keys)


def saved(path: Path, classes: int) -> dict[str, Tensor]:
    """A file as somebody with `classes` classes would have saved it."""
    from torchvision.models import resnet18

    state: dict[str, Tensor] = resnet18(num_classes=classes).state_dict()
    torch.save(state, path)
    return state


def test_resnet18_is_torchvisions_but_for_the_last_layer() -> None:
    from torchvision.models import resnet18

    expected = {k: v.shape for k, v in resnet18(num_classes=4).state_dict().items()}
    model = resnet()
    assert {k: v.shape for k, v in model.state_dict().items()} == expected
    assert sum(p.numel() for p in model.parameters()) == 11_176_512 + 513 * 4
    assert model.eval()(torch.zeros(2, 3, 40, 40)).shape == (2, 4)


def test_freeze_trains_only_the_last_layer() -> None:
    assert [k for k, p in resnet(freeze=True).named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert all(p.requires_grad for p in resnet().parameters())


@pytest.mark.parametrize("classes", [7, 1000])
def test_weights_of_a_file_with_other_classes_are_taken_but_for_the_last_layer(tmp_path: Path, classes: int) -> None:
    state = saved(tmp_path / "weights.pth", classes)
    found = resnet(weights=str(tmp_path / "weights.pth")).state_dict()
    assert found["fc.weight"].shape == (4, 512)
    assert all(torch.equal(found[k], v) for k, v in state.items() if not k.startswith("fc."))


def test_weights_of_a_file_with_as_many_classes_are_taken_whole(tmp_path: Path) -> None:
    state = saved(tmp_path / "weights.pth", 4)
    found = resnet(weights=str(tmp_path / "weights.pth")).state_dict()
    assert all(torch.equal(found[k], v) for k, v in state.items())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights\.pth does not fit the model: conv1\.weight is missing"):
        resnet(weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize(
    "failure", [URLError("no network"), TimeoutError("timed out"), RuntimeError("invalid hash value")]
)
def test_weights_that_cannot_be_downloaded_say_so(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import _api

    def offline(*args: Any, **kwargs: Any) -> None:
        raise failure

    monkeypatch.setattr(_api, "load_state_dict_from_url", offline)
    with pytest.raises(CheckpointError, match="cannot be downloaded") as caught:
        resnet(weights="DEFAULT")
    assert "download.pytorch.org/models/resnet18" in caught.value.message
    assert "model.weights=FILE" in caught.value.hint


def test_default_weights_are_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNet18_Weights, _api, resnet18

    urls, imagenet = [], resnet18().state_dict()

    def downloaded(url: str, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        urls.append(url)
        return imagenet

    monkeypatch.setattr(_api, "load_state_dict_from_url", downloaded)
    found = resnet(weights="DEFAULT").state_dict()
    assert urls == [ResNet18_Weights.DEFAULT.url]
    assert all(torch.equal(found[k], v) for k, v in imagenet.items() if not k.startswith("fc."))
