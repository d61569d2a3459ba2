"""Every kind of model is exported as it answers, in every format; what is no graph is refused in a line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Trainer
from running import SILENT, train

NETS = """
from torch import nn


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        x = self.fc(x.flatten(1))
        return 2 * x if x.mean() > 0 else x


class Counting(Deciding):
    def forward(self, x):
        return self.fc(x.reshape(int(x.shape[0]), 784))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.fc = nn.Linear(784, 784), nn.Linear(784, 784), nn.Linear(784, 10)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.fc(self.second(self.first(x.flatten(1))))
"""


def proved(trainer: Trainer, run: Path, form: str, *words: str) -> dict[str, Any]:
    """The proof of an export, which must succeed."""
    ran = trainer("export", str(run), f"format={form}", f"out=model.{form}", *words)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    found = json.loads(Path(f"model.{form}.json").read_text())
    assert found["proved"]
    assert found["equal_answers"] == 1
    assert found["relative_difference"] <= 1e-4
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "model"),
    [
        ("onnx", ("model=lenet",)),
        ("pt2", ("model=cifar_lenet",)),
        ("onnx", ("model=mlp",)),
        ("onnx", ("model=resnet18", "data.size=16", "data.limit=20")),
        ("pt2", ("model=torchvision", "model.arch=squeezenet1_1", "data.size=32", "data.limit=20")),
        ("onnx", ("model=torchvision", "model.arch=mobilenet_v3_small", "data.size=32", "data.limit=20")),
        ("pt2", ("model=timm", "model.arch=resnet10t", "data.size=32", "data.limit=20")),
    ],
    ids=lambda words: words if isinstance(words, str) else words[min(1, len(words) - 1)].partition("=")[2],
)
def test_networks_answer_alike(trainer: Trainer, form: str, model: tuple[str, ...]) -> None:
    run = train(trainer, "epochs=1", "data.limit=60", *model, *SILENT)
    proved(trainer, run, form)


@pytest.mark.slow
def test_a_quantity_comes_in_the_units_of_its_target(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data=diabetes", "epochs=20", *SILENT)
    for form in ("onnx", "pt2", "safetensors"):
        found = proved(trainer, run, form)
        assert found["rmse"]["trained"] == pytest.approx(found["rmse"]["exported"], rel=1e-6)
        assert 40 < found["rmse"]["trained"] < 100  # the target's deviation is 77


@pytest.mark.slow
def test_a_graph_of_torch_is_loaded_with_torch_alone(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data.limit=60", "epochs=1", *SILENT)
    proved(trainer, run, "pt2")
    extra = {"metadata.json": ""}
    model = torch.export.load("model.pt2", extra_files=extra).module()
    assert json.loads(json.loads(extra["metadata.json"])["classes"]) == [str(digit) for digit in range(10)]
    found = model(torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 50, 31, 1), np.uint8)))
    assert found["probabilities"].sum(1).tolist() == pytest.approx([1, 1])
    for trace in (str(Path().absolute()), str(Path(__file__).parents[1]), "site-packages"):
        assert trace.encode() not in Path("model.pt2").read_bytes()


@pytest.mark.slow
def test_images_that_are_scaled_and_cropped_enter_as_they_are(trainer: Trainer, images: Path) -> None:
    size = ("data.size=16", "data.resize=18")
    run = train(trainer, "model=linear", "data=folder", f"data.path={images}", *size, "epochs=1", *SILENT)
    assert "until the shorter side has 18" in proved(trainer, run, "onnx")["metadata"]["preprocessing"]


@pytest.mark.slow
def test_the_temperature_and_threshold_of_a_calibrated_checkpoint_travel_along(trainer: Trainer, images: Path) -> None:
    import onnxruntime

    run = train(trainer, "model=linear", "data=folder", f"data.path={images}", "data.size=8", "epochs=1", *SILENT)
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    content["description"] = json.dumps(json.loads(content["description"]) | {"temperature": 2.5, "threshold": 0.3})
    torch.save(content, "calibrated.pt")
    facts = proved(trainer, Path("calibrated.pt"), "onnx")["metadata"]
    assert (facts["temperature"], facts["threshold"]) == ("2.5", "0.3")
    file = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    logits, likely = file.run(None, {"pixels": np.full((1, 9, 9, 3), 100, np.uint8)})
    assert np.allclose(likely, torch.from_numpy(logits / 2.5).softmax(1), atol=1e-6)


ODD = """
import torch


class Odd:
    def __init__(self):
        drawing = torch.Generator().manual_seed(0)
        images, targets = torch.rand(40, 2, 6, 5, generator=drawing), torch.randint(0, 3, (40,), generator=drawing)
        self.train = self.test = images, targets
"""


@pytest.mark.slow
def test_images_of_the_users_own_data_enter_in_the_size_that_they_have(trainer: Trainer) -> None:
    """Their class is named by the user, for the proof needs samples, or random inputs are taken."""
    Path("exported_data.py").write_text(ODD)
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/odd.yaml").write_text("# Odd.\n_target_: exported_data.Odd\n")
    run = train(trainer, "model=mlp", "data=odd", "epochs=1", *SILENT)
    assert proved(trainer, run, "onnx", "data=odd")["metadata"]["input"].startswith("pixels (N, 6, 5, 2) float32")
    assert proved(trainer, run, "onnx")["on"] != "random inputs"  # a config in ./configs names the class
    Path("configs/data/odd.yaml").unlink()
    ran = trainer("export", str(run))
    assert ran.code == 2
    assert "name it yourself: data=odd" in ran.err
    assert proved(trainer, run, "onnx", "export.proof=random")["on"] == "random inputs"


@pytest.mark.slow
def test_a_model_of_the_users_own(trainer: Trainer) -> None:
    """Weights that two layers share are exported; Python that a graph cannot hold is refused, but for its weights."""
    Path("exported_nets.py").write_text(NETS)
    Path("configs/model").mkdir(parents=True)
    said = {
        "Shared": "",
        "Deciding": "its forward decides by the values of its inputs, and a graph cannot",
        "Counting": "its forward takes one number of samples only",
    }
    for name, error in said.items():
        Path(f"configs/model/{name.lower()}.yaml").write_text(f"# {name}.\n_target_: exported_nets.{name}\n")
        word = f"model={name.lower()}"
        run = train(trainer, word, "data.limit=60", "epochs=1", *SILENT)
        proved(trainer, run, "safetensors", word)
        ran = trainer("export", str(run), "format=pt2", word)
        assert ran.code == (2 if error else 0)
        assert error in ran.err
        assert len(ran.err.splitlines()) == (2 if error else 0)
