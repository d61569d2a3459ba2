"""Models, data sets and optimizers of the user's own, from an empty directory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import Trainer
from PIL import Image
from running import QUICK, SILENT, checkpoint, evaluate, reported, result, rows, train, weights

PARTS = {
    "configs/model/mynet.yaml": """
# A network with a hyperparameter of its own.
_target_: own_net.Net
channels: ${data.channels}
size: ${data.size}
classes: ${data.num_classes}
width: 4
""",
    "own_net.py": """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, channels: int, size: int, classes: int, width: int) -> None:
        convolution = nn.Conv2d(channels, width, 3, stride=4)
        super().__init__(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(width * (size // 4) ** 2, classes))
""",
    "configs/data/moons.yaml": """
# Two half circles.
_target_: own_moons.Moons
noise: 0.1
count: 60
batch_size: 10
""",
    "own_moons.py": """
import torch
from sklearn.datasets import make_moons


class Moons:
    classes = ("upper", "lower")

    def __init__(self, noise: float, count: int) -> None:
        self.train, self.test = (self.draw(noise, count, seed) for seed in (0, 1))

    def draw(self, noise: float, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = make_moons(count, noise=noise, random_state=seed)
        return torch.from_numpy(inputs), torch.from_numpy(targets)
""",
    "configs/optim/signed.yaml": """
# Steps of one size.
_target_: own_signed.SignSGD
lr: 0.01
""",
    "own_signed.py": """
import torch


class SignSGD(torch.optim.Optimizer):
    def __init__(self, parameters, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad.sign()
""",
}


@pytest.fixture(autouse=True)
def parts(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's files in the current directory; what is imported from there is forgotten."""
    for name, text in PARTS.items():
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text(text.lstrip())
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in ("own_net", "own_moons", "own_signed"):
        sys.modules.pop(name, None)


NET = (*SILENT, "model=mynet", "data=digits", "data.limit=100", "epochs=1")
MOONS = (*SILENT, "model=mlp", "data=moons", "epochs=2")


def test_a_model_of_ones_own_trains_and_evaluates(trainer: Trainer) -> None:
    run = train(trainer, *NET)
    assert run.parent == Path("runs/mynet_digits")
    assert weights(run)["0.weight"].shape == (4, 1, 3, 3)
    assert evaluate(trainer, f"ckpt={run}", "model=mynet") == reported(run)


def test_a_model_of_ones_own_keeps_what_was_overridden_in_training(trainer: Trainer) -> None:
    run = train(trainer, *NET, "model.width=7")
    assert weights(run)["0.weight"].shape == (7, 1, 3, 3)
    assert evaluate(trainer, f"ckpt={run}", "model=mynet") == reported(run)
    assert evaluate(trainer, str(run)) == reported(run)  # for a config in ./configs names the class
    again = train(trainer, *SILENT, f"from={run}", "epochs=1")
    assert weights(again)["0.weight"].shape == (7, 1, 3, 3)
    for words in (["inspect"], ["export", "format=safetensors"], ["predict", "input=images"]):
        Path("images").mkdir(exist_ok=True)
        Image.new("L", (28, 28)).save("images/0.png")
        ran = trainer(words[0], str(run), *words[1:])
        assert ran.code == 0, ran.err


def test_data_of_ones_own_are_found_as_the_model_is(trainer: Trainer) -> None:
    Path("configs/data/moons.yaml").write_text(
        "defaults:\n  - /Data@_here_\n  - _self_\n_target_: own_moons.Moons\nnoise: 0.1\ncount: 60\nbatch_size: 10\n"
    )
    run = train(trainer, *MOONS, "data.noise=0.3")
    assert evaluate(trainer, str(run)) == reported(run)


@pytest.mark.parametrize(("args", "group", "choice"), [(NET, "model", "mynet"), (MOONS, "data", "moons")])
def test_a_checkpoint_names_no_code_to_run(trainer: Trainer, args: tuple[str, ...], group: str, choice: str) -> None:
    """Only what a config of the user's own names is imported; what the file says is compared with that."""
    run = train(trainer, *args)
    imported = {"model": "own_net", "data": "own_moons"}[group]
    del sys.modules[imported]
    config = Path("configs") / group / f"{choice}.yaml"
    text = config.read_text()
    config.unlink()
    configs = {
        "none": [],
        "of another class": ["_target_: harmless.Net\n"],
        "several": [text, text],
        "with an expression": ["_target_: ${name}\n"],
        "with other defaults": [f"defaults: [/elsewhere]\n{text}"],
        "broken": ["_target_: [\n"],
    }
    for found in configs.values():
        for number, other in enumerate(found):
            config.with_stem(f"other{number}").write_text(other)
        ran = trainer("eval", f"ckpt={run}")
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 2
        assert imported in ran.err
        assert f"{group}={choice}" in ran.err
        assert imported not in sys.modules
        for path in config.parent.glob("other*.yaml"):
            path.unlink()


def test_a_class_may_be_named_without_a_yaml(trainer: Trainer) -> None:
    run = train(trainer, *NET)
    keys = ("channels=1", "size=28", "classes=10", "width=4")
    ran = trainer("eval", f"ckpt={run}", "model._target_=own_net.Net", *(f"model.{key}" for key in keys))
    assert ran.code == 0, ran.err


def test_a_model_of_ones_own_is_inspected(trainer: Trainer) -> None:
    run = train(trainer, *NET)
    for args in (("model=mynet",), ("model=mynet", f"ckpt={run}")):
        ran = trainer("inspect", *args)
        assert ran.code == 0, ran.err
        total = next(line.split() for line in ran.out.splitlines() if line.startswith("total"))
        assert int(total[1].replace(",", "")) == sum(weight.numel() for weight in weights(run).values())


def test_a_model_of_ones_own_is_swept(trainer: Trainer) -> None:
    assert trainer("train", "-m", *NET, "model.width=2,3").code == 0
    (sweep,) = Path("runs/sweeps/sweep").iterdir()
    assert [weights(sweep / job)["0.weight"].shape[0] for job in "01"] == [2, 3]


def test_a_misspelt_hyperparameter_of_ones_own_is_an_error(trainer: Trainer) -> None:
    ran = trainer("train", *NET, "model.widht=3")
    assert ran.code == 2
    assert "widht" in ran.err
    assert not Path("runs").exists()


def test_data_of_ones_own_train_and_evaluate(trainer: Trainer) -> None:
    run = train(trainer, *MOONS, "data.batch_size=20", "data.val_fraction=0.25", "data.count=80", "data.noise=0.2")
    assert result(run)["steps"] == 2 * 60 / 20
    assert set(result(run)["per_class"]) == {"upper", "lower"}
    assert evaluate(trainer, f"ckpt={run}", "data=moons") == reported(run)
    assert evaluate(trainer, f"ckpt={run}", "data=moons", "split=val")["val/accuracy"] == max(
        row["val/accuracy"] for row in rows(run)
    )
    assert "moons, test split, 80 samples" in trainer("eval", f"ckpt={run}", "data=moons").out


def test_a_model_and_data_of_ones_own_together(trainer: Trainer) -> None:
    Path("configs/model/flat.yaml").write_text("_target_: torch.nn.Linear\nin_features: 2\nout_features: 2\n")
    run = train(trainer, *MOONS, "model=flat")
    assert evaluate(trainer, f"ckpt={run}", "model=flat", "data=moons") == reported(run)


def test_an_optimizer_of_ones_own_steps(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "optim=signed", "optim.lr=0.5", "data.batch_size=null")
    torch.manual_seed(0)
    layer = torch.nn.Linear(784, 10).requires_grad_(False)
    moved = (weights(run)["linear.bias"] - layer.bias).abs()
    torch.testing.assert_close(moved, torch.full((10,), 0.5))
    assert checkpoint(run)["optimizer"]["param_groups"][0]["lr"] == 0.5
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


def test_the_users_model_computes_what_it_says(trainer: Trainer) -> None:
    run = train(trainer, *MOONS, "model=linear", "data.val_fraction=0")
    from own_moons import Moons

    inputs, targets = Moons(0.1, 60).test
    state = weights(run)
    logits = F.linear(inputs.float(), state["linear.weight"], state["linear.bias"])
    assert reported(run)["test/loss"] == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-5)


def test_what_is_executed_is_said_before_it_is(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("said_first.py").write_text("print('executed')\nfrom torch.optim import SGD as Own\n")
    Path("configs/optim/own.yaml").write_text("_target_: said_first.Own\nlr: 0.1\n")
    ran = trainer("train", *QUICK, "optim=own")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    said = next(line for line in lines if "runs code: said_first.Own, from ./said_first.py" in line)
    assert lines.index(said) < lines.index("executed")
