"""The table of layers against shapes, parameters and operations counted by hand."""

import pytest
import torch
from processes import Machine
from torch import Tensor, nn

from trainer import models
from trainer.config import registry
from trainer.show import layers
from trainer.show.layers import Layer

IMAGES = {"in_channels": 3, "num_classes": 10}
OF_EACH: dict[str, list[dict[str, object]]] = {  # of each model that there is, what it is built with
    "linear": [{"in_features": 12, "out_features": 3}],
    "mlp": [
        {"in_features": 12, "out_features": 3, "hidden": [8, 4], "activation": "relu", "norm": "batch", "skip": True}
    ],
    **{name: [IMAGES | {"image_size": 32}] for name in ("lenet", "lenet5", "cifar_lenet")},
    "torchvision": [IMAGES | {"arch": arch} for arch in ("resnet18", "vit_b_16", "swin_t", "mobilenet_v3_small")],
    "timm": [IMAGES | {"arch": arch} for arch in ("vit_tiny_patch16_224", "convnext_atto")],
}
WITHOUT_COMPILER = """
import sys
from trainer.cli.main import main
assert main(["inspect"]) == 0
print([name for name in ("torch._dynamo", "torch._inductor", "sympy", "matplotlib") if name in sys.modules])
"""


class Branching(nn.Module):
    """Whose operations are counted by the branch with more of them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.cond(x.sum() > 0, self.layer, lambda x: self.layer(self.layer(x)), (x,))
        return out


def test_a_linear_layer_multiplies_and_adds_each_weight_once() -> None:
    found, _, _ = layers.table(nn.Linear(7, 3), torch.zeros(1, 7))
    assert found == [Layer("Linear", "Linear", (3,), 7 * 3 + 3, 2 * 7 * 3)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), [(5, 1, 0, 8), (3, 1, 1, 12), (4, 2, 1, 6)])
def test_a_convolution_multiplies_its_kernel_at_each_output(kernel: int, stride: int, padding: int, side: int) -> None:
    conv = nn.Conv2d(2, 6, kernel, stride, padding)
    parameters, flops = 6 * 2 * kernel**2 + 6, 2 * (6 * side * side) * (2 * kernel**2)
    found, _, _ = layers.table(conv, torch.zeros(1, 2, 12, 12))
    assert found == [Layer("Conv2d", "Conv2d", (6, side, side), parameters, flops)]


def test_lenet_layer_by_layer() -> None:
    model = models.make("lenet", in_channels=1, image_size=28, num_classes=10)
    found, _, _ = layers.table(model, torch.zeros(1, 1, 28, 28))
    assert found == [
        Layer("conv1", "Conv2d", (10, 24, 24), 260, 2 * 10 * 24 * 24 * 25),
        Layer("conv2", "Conv2d", (20, 8, 8), 5020, 2 * 20 * 8 * 8 * 250),
        Layer("conv2_drop", "Dropout2d", (20, 8, 8), 0, 0),
        Layer("fc1", "Linear", (50,), 16050, 2 * 320 * 50),
        Layer("fc1_drop", "Dropout", (50,), 0, 0),
        Layer("fc2", "Linear", (10,), 510, 2 * 50 * 10),
    ]


class Turned(nn.Module):
    """Runs its layers in another order than they are declared."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.inner(x))
        return out


def test_layers_come_in_the_order_of_running_with_their_full_names() -> None:
    found, _, _ = layers.table(Turned(), torch.zeros(1, 3))
    assert [(layer.name, layer.kind) for layer in found] == [
        ("inner.0", "Linear"),
        ("inner.1", "ReLU"),
        ("last", "Linear"),
    ]


def test_resnet18_has_its_published_parameters_and_operations() -> None:
    """1.81 billion multiply-adds at 224x224 (He et al., 2016, table 1: 1.8e9)."""
    model = models.make("torchvision", arch="resnet18", in_channels=3, num_classes=1000)
    found, _, _ = layers.table(model, torch.zeros(1, 3, 224, 224))
    assert sum(layer.parameters for layer in found) == 11_689_512
    assert sum(layer.flops for layer in found) / 2 == pytest.approx(1.81e9, rel=0.01)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    layers.table(model, torch.randn(1, 3))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training is training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_model_that_fails_is_left_without_hooks() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(3, 4))
    with pytest.raises(RuntimeError):
        layers.table(model, torch.randn(1, 3))
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_a_module_computes_by_itself_counts_in_the_totals() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(5, 4))
            self.out = nn.Linear(5, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x @ self.weight.T)

    found, parameters, flops = layers.table(Mixed(), torch.zeros(1, 4))
    assert [layer.name for layer in found] == ["out"]
    assert (parameters, flops) == (5 * 4 + 5 * 2, 2 * 5 * 4 + 2 * 5 * 2)


def _by_torch(model: nn.Module, example: Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(example)
    return counter.get_total_flops()


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("model"))
def test_operations_are_those_that_torchs_own_counter_finds(name: str) -> None:
    for made in OF_EACH[name]:
        model = models.make(name, **{"dropout": 0.5} | made if name in ("mlp", "lenet") else made)
        size = 224 if "arch" in made else 32
        example = torch.zeros(1, 3, size, size) if "in_channels" in made else torch.zeros(1, 12)
        assert layers.table(model, example)[2] == _by_torch(model, example) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.GRU(8, 8, batch_first=True), (1, 5, 8)),
        (nn.ConvTranspose2d(3, 4, 3), (1, 3, 8, 8)),
        (Branching(), (1, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_operations_that_consist_of_others_are_counted_as_these(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert layers.table(model, torch.zeros(shape))[2] == _by_torch(model, torch.zeros(shape)) > 0


@pytest.mark.slow
def test_what_is_inspected_needs_neither_torchs_compiler_nor_a_drawing_library(machine: Machine) -> None:
    assert machine.run(code=WITHOUT_COMPILER, fresh=True).out.splitlines()[-1] == "[]"
