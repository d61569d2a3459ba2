"""`model.init`: first weights drawn by the rules of torch.nn.init, the same for a layer whatever stands around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Trainer
from running import SILENT, train, weights
from torch import Tensor, nn

from trainer import models
from trainer.config.base import Custom
from trainer.config.model import Initial, Linear, TorchVision
from trainer.models import initial
from trainer.system.errors import ConfigError

# What torch does for a matrix (outputs, inputs, ...), with a gain.
RULES: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "xavier": lambda w, gain, g: nn.init.xavier_uniform_(w, gain, generator=g),
    "kaiming": lambda w, gain, g: nn.init.kaiming_normal_(w, nonlinearity="linear", generator=g) * gain,
    "orthogonal": lambda w, gain, g: nn.init.orthogonal_(w, gain, generator=g),
}
GAIN = {"xavier": 1.0, "kaiming": 2**0.5, "orthogonal": 1.0}


class Mixed(nn.Module):
    """Layers of all kinds, with ten outputs."""

    def __init__(self, first: bool = True) -> None:
        super().__init__()
        if first:
            self.before = nn.Conv2d(3, 8, 3)
        self.depthwise = nn.Conv2d(8, 16, 3, groups=8)
        self.up = nn.ConvTranspose2d(16, 4, 3, groups=2)
        self.norm = nn.GroupNorm(2, 4)
        self.words = nn.Embedding(5, 6)
        self.lstm = nn.LSTM(6, 7, bidirectional=True, proj_size=3)
        self.attention = nn.MultiheadAttention(8, 2)
        self.apart = nn.MultiheadAttention(8, 2, kdim=5, vdim=6)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.closed = nn.Linear(4, 4)
        nn.init.zeros_(self.closed.weight)
        self.scale = nn.Parameter(torch.randn(4, 4))
        self.wide = nn.Linear(4, 9, bias=False)
        self.tied = nn.Linear(4, 9, bias=False)
        self.tied.weight = self.wide.weight
        self.last = nn.Linear(9, 10)


def mixed(how: Initial | None = None, seed: int = 3, **keys: Any) -> nn.Module:
    torch.manual_seed(0)
    made = Mixed(**keys)
    if how is not None:
        initial.draw(made, how, seed, 10)
    return made


def of_torch(rule: str, gain: float, shape: tuple[int, ...], name: str, seed: int = 3) -> Tensor:
    """What torch draws for the weight of this name."""
    return RULES[rule](torch.empty(shape), gain, torch.Generator().manual_seed(initial._seed(seed, name)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gain", [None, 0.7])
@pytest.mark.parametrize("name", ["lenet", "mlp", "linear"])
def test_weights_are_those_of_torchs_rule_and_biases_zero(name: str, gain: float | None, rule: str) -> None:
    keys: dict[str, Any] = {
        "lenet": {"in_channels": 1, "image_size": 28, "num_classes": 10, "dropout": 0.5},
        "mlp": {"in_features": 12, "out_features": 10, "hidden": [8, 6], "activation": "relu"},
        "linear": {"in_features": 12, "out_features": 10},
    }
    model = models.make(name, **keys[name])
    initial.draw(model, Initial(rule, gain), 3, 10)
    state = model.state_dict()
    last = next(reversed(state)).rpartition(".")[0]
    for key, values in state.items():
        own = 1.0 if key.startswith(last) else gain or GAIN[rule]
        expected = torch.zeros_like(values) if "bias" in key else of_torch(rule, own, values.shape, key)
        assert torch.equal(values, expected), key


@pytest.mark.parametrize("rule", RULES)
def test_each_matrix_within_a_layer_is_drawn_as_one_of_its_own(rule: str) -> None:
    """The groups of a convolution, and those of a transposed one by its inputs; gates; queries, keys and values."""
    found = dict(mixed(Initial(rule)).named_parameters())

    def drawn(name: str, count: int, shape: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(initial._seed(3, name))
        return torch.stack([RULES[rule](torch.empty(shape), GAIN[rule], generator) for _ in range(count)])

    assert torch.equal(found["depthwise.weight"], drawn("depthwise.weight", 8, (2, 1, 3, 3)).flatten(0, 1))
    turned = drawn("up.weight", 2, (2, 8, 3, 3)).transpose(1, 2).flatten(0, 1)
    assert torch.equal(found["up.weight"], turned)
    for end in ("l0", "l0_reverse"):
        assert torch.equal(found[f"lstm.weight_ih_{end}"], drawn(f"lstm.weight_ih_{end}", 4, (7, 6)).flatten(0, 1))
        assert torch.equal(found[f"lstm.weight_hh_{end}"], drawn(f"lstm.weight_hh_{end}", 4, (7, 3)).flatten(0, 1))
        assert torch.equal(found[f"lstm.weight_hr_{end}"], drawn(f"lstm.weight_hr_{end}", 1, (3, 7))[0])
    assert torch.equal(found["attention.in_proj_weight"], drawn("attention.in_proj_weight", 3, (8, 8)).flatten(0, 1))
    assert torch.equal(found["apart.k_proj_weight"], drawn("apart.k_proj_weight", 1, (8, 5))[0])


def test_all_that_is_not_drawn_stays() -> None:
    before, after = dict(mixed().named_parameters()), dict(mixed(Initial("xavier", init_bias=0.25)).named_parameters())
    stays = {name for name, values in before.items() if torch.equal(values, after[name])}
    assert stays == {
        *("norm.weight", "norm.bias", "words.weight", "frozen.weight", "frozen.bias", "scale"),
        *("closed.weight", "closed.bias"),
    }
    biases = [values for name, values in after.items() if "bias" in name and name not in stays]
    assert len(biases) == 12
    assert all(bool((values == 0.25).all()) for values in biases)


def test_orthogonal_matrices_keep_lengths_up_to_the_gain() -> None:
    weight = mixed(Initial("orthogonal", 2.0)).get_parameter("wide.weight").double()  # (9, 4)
    torch.testing.assert_close(weight.T @ weight, 4 * torch.eye(4).double(), atol=1e-5, rtol=0)


def test_a_layer_draws_the_same_whatever_stands_before_it_and_other_numbers_with_another_seed() -> None:
    how = Initial("kaiming")
    whole, part = dict(mixed(how).named_parameters()), dict(mixed(how, first=False).named_parameters())
    assert torch.equal(whole["last.weight"], part["last.weight"])
    assert not torch.equal(whole["last.weight"], mixed(how, seed=4).get_parameter("last.weight"))


def test_what_is_drawn_later_is_as_without_it() -> None:
    drawn = []
    for how in (None, Initial("orthogonal")):
        mixed(how)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


def test_only_biases_are_set_where_the_layers_draw_their_weights() -> None:
    before, after = mixed().state_dict(), mixed(Initial(init_bias=0.5)).state_dict()
    assert torch.equal(before["last.weight"], after["last.weight"])
    assert bool((after["last.bias"] == 0.5).all())


def test_the_path_beside_a_perceptron_begins_closed() -> None:
    model = models.make("mlp", in_features=4, out_features=2, hidden=8, activation="relu", skip=True)
    initial.draw(model, Initial("xavier"), 0, 2)
    assert not model.get_parameter("skip.weight").any()
    assert model.get_parameter("fc2.weight").any()


@pytest.mark.parametrize(("library", "arch"), [("torchvision", "mobilenet_v3_small"), ("timm", "test_vit")])
def test_a_network_of_a_library_is_drawn_but_for_its_norms(library: str, arch: str) -> None:
    torch.manual_seed(0)
    network = models.make(library, arch=arch, in_channels=3, num_classes=4)
    before = {name: values.clone() for name, values in network.named_parameters()}
    initial.draw(network, Initial("orthogonal"), 0, 4)
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    changed = {name.rpartition(".")[0] for name, values in network.named_parameters() if not values.equal(before[name])}
    assert changed == {name for name in layers if before[f"{name}.weight"].any()}
    assert len(changed) > 10


def test_a_model_without_layers_to_draw_is_refused() -> None:
    with pytest.raises(ConfigError, match="the model has no layers"):
        initial.draw(nn.Embedding(3, 3), Initial("xavier"), 0, 3)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (Linear(init_gain=2.0), "model.init_gain=2: the layers draw their weights themselves"),
        (TorchVision(init="xavier", weights="DEFAULT"), "would overwrite the weights that model.weights brings"),
        (TorchVision(init_bias=0.0, weights="a.pth"), "model.init_bias=0.0 would overwrite"),
        (Custom("torch.nn.Linear", {"pretrained": True}, Initial("xavier")), "that model.pretrained brings"),
        (Custom("test_initial.Claims", {}, Initial("xavier")), "model.init: an argument of test_initial.Claims"),
    ],
    ids=["gain", "weights", "biases", "own", "argument"],
)
def test_what_contradicts_itself_is_refused(section: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        initial.of(section)
    assert message in caught.value.message


def test_by_default_nothing_is_drawn() -> None:
    assert initial.of(Linear()) is None
    assert initial.of(Custom("test_initial.Claims", {}, Initial())) is None


class Claims(nn.Linear):
    def __init__(self, init: str = "mine") -> None:
        super().__init__(2, 2)


# --- commands -----------------------------------------------------------------------------------------

QUICK = (*SILENT, "data.limit=100", "epochs=1", "optim=sgd", "optim.lr=1e-30")


def test_a_model_of_your_own_has_the_keys_too_and_resumes(trainer: Trainer) -> None:
    trainer("new", "model", "mynet")
    run = train(trainer, "model=mynet", "model.init=orthogonal", "model.init_bias=0.5", *QUICK, "max_steps=1", "seed=7")
    found = weights(run)
    drawn = of_torch("orthogonal", 1.0, found["layers.1.weight"].shape, "layers.1.weight", seed=7)
    torch.testing.assert_close(found["layers.1.weight"], drawn, rtol=0, atol=1e-20)
    assert bool((found["layers.1.bias"] == 0.5).all())
    assert "parameters, init orthogonal" in (run / "train.log").read_text()
    assert trainer("resume", str(run), "max_steps=2").code == 0


def close(first: Path, second: Path, tolerance: float) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.allclose(one[name], other[name], rtol=0, atol=tolerance) for name in one)


def test_weights_of_another_run_go_before_the_rule_which_draws_what_is_made_anew(trainer: Trainer) -> None:
    run = train(trainer, "model=mlp", "data=digits", *QUICK)
    again = train(trainer, f"from={run}", "model.init=xavier", *QUICK)
    assert close(run, again, 1e-20)
    smaller = train(trainer, f"from={run}", "model.init=xavier", "data=digits", "data.size=8", *QUICK)
    found = weights(smaller)
    assert torch.equal(found["fc2.weight"], weights(run)["fc2.weight"])
    drawn = of_torch("xavier", 1.0, found["fc1.weight"].shape, "fc1.weight", seed=0)
    torch.testing.assert_close(found["fc1.weight"], drawn, rtol=0, atol=1e-20)


def test_rules_are_compared_as_one_program(trainer: Trainer) -> None:
    asked = ("model=mlp", *QUICK[:-1], "optim.lr=0.1", "precision=float64", "model.init=default,xavier,orthogonal")
    found = []
    for how in ("serial", "batched"):
        ran = trainer("train", "-m", *asked, f"sweep={how}", f"output={how}")
        assert ran.code == 0, ran.err
        found.append(sorted(path.parent for path in Path(how).rglob("result.json")))
    assert "3 jobs as one program" in ran.out
    assert len(found[0]) == 3
    assert all(close(one, other, 1e-10) for one, other in zip(*found, strict=True))
    assert not close(found[0][0], found[0][1], 1e-3)
