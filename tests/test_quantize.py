"""An exported file with layers of 8 bits: which they are, with which scales, and what it may lose."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from running import SILENT

from trainer.cli.main import main
from trainer.export.proof import Proof
from trainer.export.quantize import int8
from trainer.system.errors import ConfigError

DRAWING = np.random.default_rng(0)
WEIGHTS = {
    "conv1.weight": DRAWING.normal(size=(8, 3, 3, 3)),
    "conv2.weight": DRAWING.normal(size=(16, 8, 3, 3)) * np.linspace(0.1, 9, 16)[:, None, None, None],
    "fc.weight": DRAWING.normal(size=(5, 16)),
}
IMAGES = DRAWING.normal(size=(32, 3, 12, 12)).astype(np.float32)


def network(layers: int = 3) -> bytes:
    """Two convolutions and a linear layer, or fewer of the convolutions, as an ONNX file."""
    nodes = [
        helper.make_node("Mul", ["pixels", "half"], ["scaled"], "prepare"),
        helper.make_node("Conv", ["scaled", "conv1.weight"], ["conv1"], "conv1"),
        helper.make_node("Relu", ["conv1"], ["relu1"], "relu1"),
        helper.make_node("Conv", ["relu1", "conv2.weight"], ["conv2"], "conv2"),
        helper.make_node("Relu", ["conv2"], ["relu2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["relu2"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "fc.weight"], ["logits"], "fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax"),
    ]
    if layers == 2:
        del nodes[3:5]
        nodes[3].input[0] = "relu1"
    weights = {name: values.astype(np.float32) for name, values in WEIGHTS.items()}
    weights["half"] = np.full(1, 0.5, np.float32)
    if layers == 2:
        weights["fc.weight"] = weights["fc.weight"][:, :8].copy()
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 12, 12])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 5]) for name in ("logits", "probabilities")],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    found: bytes = model.SerializeToString()
    return found


def answers(content: bytes, *names: str) -> list[np.ndarray]:
    model = onnx.load_model_from_string(content)
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in there)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: list[np.ndarray] = session.run(names, {"pixels": IMAGES})
    return found


@pytest.fixture(scope="module")
def quantized() -> bytes:
    return int8(network(), iter(np.split(IMAGES, 4)), {"task": "classification", "ä": "ö"})


def test_layers_between_the_first_convolution_and_the_last_layer_have_8_bits_with_a_scale_per_channel(
    quantized: bytes,
) -> None:
    graph = onnx.load_model_from_string(quantized).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = WEIGHTS["conv2.weight"].astype(np.float32)
    scales = np.abs(weights).max((1, 2, 3)) / 127
    np.testing.assert_allclose(values["conv2.weight_scale"], scales, rtol=1e-6)
    expected = np.rint(weights / scales[:, None, None, None])
    assert values["conv2.weight_quantized"].dtype == np.int8
    assert np.abs(values["conv2.weight_quantized"] - expected).max() <= 1  # a half may be rounded either way
    for name in ("conv1.weight", "fc.weight"):
        np.testing.assert_array_equal(values[name], WEIGHTS[name].astype(np.float32))


def test_the_range_of_a_value_is_that_of_the_samples(quantized: bytes) -> None:
    graph = onnx.load_model_from_string(quantized).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (relu,) = answers(network(), "relu1")
    np.testing.assert_allclose(values["relu1_scale"], relu.max() / 255, rtol=1e-6)
    assert values["relu1_zero_point"] == 0


def test_its_answers_are_near_those_in_single_precision_and_logits_are_not_rounded(quantized: bytes) -> None:
    (expected,), (found,) = answers(network(), "logits"), answers(quantized, "logits")
    assert np.abs(found - expected).max() <= 0.03 * np.abs(expected).max()
    assert len(np.unique(found)) == found.size


def test_its_metadata_are_those_given(quantized: bytes) -> None:
    metadata = onnxruntime.InferenceSession(quantized).get_modelmeta().custom_metadata_map
    assert metadata == {"task": "classification", "ä": "ö"}


def test_nothing_is_said_and_nothing_is_left(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    int8(network(), iter([IMAGES]), {})
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    assert logging.root.manager.disable == logging.NOTSET


def test_a_network_without_a_layer_in_between_is_refused() -> None:
    with pytest.raises(ConfigError, match="no layer beside those that stay in single precision"):
        int8(network(2), iter([IMAGES]), {})


def proof(**values: Any) -> Proof:
    given = {"of_classes": True, "samples": 200, "difference": 0.3, "relative": 0.02, "unequal": 6, "score": None}
    return Proof(**(given | values))


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        ({"score": (0.9, 0.88)}, 0.02),
        ({"score": (0.9, 0.91)}, -0.01),
        ({}, 0.03),
        ({"of_classes": False, "score": (4.0, 5.0)}, 0.25),
        ({"of_classes": False}, 0.02),
    ],
)
def test_what_it_loses_decides_whether_it_is_proved(values: dict[str, Any], lost: float) -> None:
    found = proof(**values)
    assert found.lost == pytest.approx(lost)
    assert not found.holds
    assert dataclasses.replace(found, allowed=lost + 1e-9).holds
    assert not dataclasses.replace(found, allowed=lost - 1e-9).holds


def test_nothing_is_proved_by_figures_that_are_none() -> None:
    assert not proof(score=(0.9, float("nan")), allowed=1.0).holds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small network on a table of words and numbers with missing ones."""
    here = tmp_path_factory.mktemp("quantize")
    rows = [
        f"{number:.2f},{'ab?'[i % 3]},{'yes' if number > 0 else 'no'}"
        for i, number in enumerate(DRAWING.normal(size=300))
    ]
    (here / "some.csv").write_text("\n".join(["number,word,positive", *rows]))
    words = (
        "data=table",
        f"data.path={here / 'some.csv'}",
        "data.target=positive",
        "data.val_fraction=0.2",
        "epochs=8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main(["train", "model=mlp", "model.hidden=[16,16]", "optim.lr=0.05", *words, *SILENT]) == 0
    (found,) = here.glob("runs/*/*")
    return found


def test_the_command_proves_both_files_and_says_what_the_small_one_loses(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainer.export.proof._PATIENCE", 0)
    assert main(["export", str(run), "export.quantize=int8", "export.max_loss=0.05"]) == 0
    assert "lost" in capsys.readouterr().out
    (file,) = tmp_path.glob("*.onnx")
    report = json.loads(Path(f"{file}.json").read_text())
    assert file.name == "mlp_table_int8.onnx"
    assert report["metadata"]["quantized"] == "int8, ranges from 48 samples of the validation split"
    assert report["lost"] <= report["allowed"] == 0.05
    assert "milliseconds_in_a_batch" in report["float32"]
    assert onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map == report["metadata"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"{file.name}.json"]


def test_another_format_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "export.quantize=int8", "format=pt2"]) == 2
    assert "export.quantize=int8 is for format=onnx" in capsys.readouterr().err
