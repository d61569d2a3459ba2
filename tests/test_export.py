"""`trainer export`: one file that answers as the trained model does, from what a user has, and the proof of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from composing import composed
from PIL import Image
from running import SILENT

from trainer.cli.main import main
from trainer.data.image import Way, fitted, read_image
from trainer.engine import device
from trainer.export.proof import Proof
from trainer.export.resize import Resized, tall_images_first
from trainer.predict.predictor import Predictor, load
from trainer.show.report import Report

ROOT = Path(__file__).parents[1]
WITHOUT_TORCH = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "trainer", "torchvision", "onnx"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Refused())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `runs/NAME/TIME` of a linear model on photos of two classes, and `linear_photos.onnx` of it."""
    here = tmp_path_factory.mktemp("export")
    photos(here / "photos" / "train", 12, 0)
    photos(here / "photos" / "test", 5, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        quick = ("model=linear", "data=folder", "data.path=photos", "data.size=12", "epochs=2", "name=photos", *SILENT)
        assert main(["train", *quick]) == 0
        (run,) = (here / "runs" / "photos").iterdir()
        run.rename(here / "run")
        assert main(["export", "run"]) == 0
    return here


def photos(folder: Path, count: int, seed: int) -> None:
    """JPEG files of different sizes, some on their side and some grey, in `dark` and `light`."""
    rng = np.random.default_rng(seed)
    for label, level in (("dark", 70), ("light", 180)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            height, width = rng.integers(3, 60, 2)
            pixels = np.clip(rng.normal(level, 60, (height, width, 3)), 0, 255).astype(np.uint8)
            image = Image.fromarray(pixels).convert("L" if number % 4 == 3 else "RGB")
            turned = Image.Exif()
            turned[0x0112] = 6 if number % 3 == 0 else 1
            image.save(folder / label / f"{number}.jpg", exif=turned)


def predictor(ckpt: str) -> Predictor:
    config = composed("export", f"ckpt={ckpt}")
    return load(config, ckpt, device.choose("cpu", "float32"), Report(quiet=True))


def session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture
def there(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`made` as the current directory."""
    monkeypatch.chdir(made)
    return made


# --- resizing ---


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pixels_are_those_of_pillow_whatever_the_size(channels: int) -> None:
    rng = np.random.default_rng(channels)
    newer = tall_images_first()
    for _ in range(60):
        size, height, width = (int(side) for side in rng.integers(1, 70, 3))
        height *= int(rng.choice([1, 5]))
        resize = None if rng.random() < 0.5 else int(rng.integers(1, 90))
        way = Way(size, resize, channels)
        pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
        expected = fitted(Image.fromarray(pixels if channels == 3 else pixels[..., 0]), way)
        found = Resized(way, newer)(torch.from_numpy(pixels)[None])
        assert found.dtype == torch.float32
        assert np.array_equal(found[0].permute(1, 2, 0).numpy(), expected), (way, pixels.shape)


def test_an_older_pillow_always_goes_across_first() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 11), np.uint8)
    image = Image.fromarray(pixels)
    across = image.resize((9, 60), Image.Resampling.BILINEAR).resize((9, 9), Image.Resampling.BILINEAR)
    down = image.resize((11, 9), Image.Resampling.BILINEAR).resize((9, 9), Image.Resampling.BILINEAR)
    assert not np.array_equal(across, down)
    for newer, expected in ((False, across), (True, down)):
        found = Resized(Way(9, None, 1), newer)(torch.from_numpy(pixels)[None, :, :, None])
        assert np.array_equal(found[0, 0].numpy(), expected)


# --- the file ---


def test_the_file_takes_pixels_of_any_size_and_number(there: Path) -> None:
    model, file = predictor("run"), session(Path("linear_folder.onnx"))
    rng = np.random.default_rng(0)
    for count, height, width in ((1, 12, 12), (5, 40, 9), (2, 1, 1), (3, 200, 3)):
        pixels = rng.integers(0, 256, (count, height, width, 3), np.uint8)
        logits, likely = file.run(["logits", "probabilities"], {"pixels": pixels})
        read = torch.from_numpy(np.stack([fitted(Image.fromarray(image), model.way) for image in pixels]))
        expected = model.outputs_of(read)
        assert logits.shape == likely.shape == (count, 2)
        assert np.abs(logits - expected.numpy()).max() <= 1e-5 * expected.abs().max()
        assert np.allclose(likely, model.images(read).likely.numpy(), atol=1e-6)


def test_the_file_says_what_it_is_and_nothing_of_this_machine(there: Path) -> None:
    file = session(Path("linear_folder.onnx"))
    (pixels,) = file.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(uint8)", ["batch", "height", "width", 3])
    assert [(output.name, output.shape) for output in file.get_outputs()] == [
        ("logits", ["batch", 2]),
        ("probabilities", ["batch", 2]),
    ]
    facts = file.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["dark", "light"]
    assert (facts["task"], facts["temperature"]) == ("classification", "1.0")
    assert "to 12x12" in facts["preprocessing"]
    assert json.loads(facts["model"])["name"] == "linear"
    content = Path("linear_folder.onnx").read_bytes()
    for trace in (str(there), str(ROOT), "site-packages", ".py"):
        assert trace.encode() not in content


def test_the_proof_is_written_beside_it(there: Path) -> None:
    found = json.loads(Path("linear_folder.onnx.json").read_text())
    assert found["proved"]
    assert (found["samples"], found["equal_answers"]) == (10, 1.0)
    assert found["relative_difference"] <= found["tolerance"] == 1e-4
    assert found["accuracy"]["trained"] == found["accuracy"]["exported"]
    assert found["bytes"] == Path("linear_folder.onnx").stat().st_size
    assert not Path("linear_folder.onnx.unproved").exists()


def test_the_documented_script_serves_it_without_torch(there: Path) -> None:
    """From the files themselves, with the classes and probabilities of the trained model."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    script = page.split("`serve.py`\n\n```python\n")[1].split("```")[0]
    files = sorted(map(str, Path("photos").rglob("*.jpg")))
    call = [sys.executable, "-c", WITHOUT_TORCH + script, "linear_folder.onnx", *files]
    ran = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    model = predictor("run")
    answers = model.images(torch.from_numpy(np.stack([read_image(file, model.way) for file in files])))
    expected = [
        f"{file} {('dark', 'light')[answers.predicted[n]]} {answers.probability[n]:.4f}" for n, file in enumerate(files)
    ]
    assert ran.stdout.splitlines() == expected


def test_safetensors_hold_the_weights_and_what_is_to_be_known_of_them(there: Path) -> None:
    from safetensors import safe_open

    assert main(["export", "run", "format=safetensors"]) == 0
    own = torch.load("run/checkpoints/best.pt", weights_only=True)["model"]
    with safe_open("linear_folder.safetensors", "pt") as file:
        assert set(file.keys()) == set(own)
        assert all(torch.equal(file.get_tensor(name), values) for name, values in own.items())
        assert json.loads(file.metadata()["classes"]) == ["dark", "light"]
    assert json.loads(Path("linear_folder.safetensors.json").read_text())["largest_difference"] == 0


# --- what fails ---


def test_a_file_that_fails_its_proof_gets_no_good_name(
    there: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path("weights.safetensors")
    assert main(["export", "run", "format=safetensors", f"out={out}"]) == 0
    good = out.read_bytes()
    monkeypatch.setattr("trainer.export.proof.TOLERANCE", -1.0)  # nothing is as near as that
    assert main(["export", "run", "format=safetensors", f"out={out}"]) == 1
    assert "it is left as weights.safetensors.unproved" in capfd.readouterr().err
    assert out.read_bytes() == good
    assert not json.loads(Path("weights.safetensors.unproved.json").read_text())["proved"]
    monkeypatch.undo()
    monkeypatch.chdir(there)
    assert main(["export", "run", "format=safetensors", f"out={out}"]) == 0
    assert not list(Path().glob("weights.*unproved*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("format=torchscript",), "has deprecated TorchScript"),
        (("format=tflite",), "no such format"),
        (("out=best.pt",), "must end in .onnx"),
        (("out=nowhere/best.onnx",), "there is no folder nowhere"),
        (("data.path=nowhere",), "the test data are needed for the proof"),
    ],
)
def test_a_mistake_ends_before_anything_is_written(
    there: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    before = sorted(there.iterdir())
    assert main(["export", "run", *words]) == 2
    error = capfd.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 2
    assert sorted(there.iterdir()) == before


def test_a_file_of_somebody_else_is_not_replaced_unless_it_is_named(
    there: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = Path("linear_folder.safetensors")
    theirs.write_text("theirs")
    words = ("export", str(there / "run"), "format=safetensors", "export.proof=random")
    assert main([*words]) == 2
    assert "give another name: out=FILE.safetensors" in capfd.readouterr().err
    assert theirs.read_text() == "theirs"
    assert main([*words, f"out={theirs}"]) == 0
    assert theirs.read_bytes() != b"theirs"


def test_random_inputs_prove_what_has_no_test_data(
    there: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "weights.safetensors"
    assert main(["export", "run", "format=safetensors", f"out={out}", "export.proof=random"]) == 0
    assert "random inputs, 1,024 samples" in capfd.readouterr().out
    found = json.loads(out.with_name("weights.safetensors.json").read_text())
    assert found["on"] == "random inputs"
    assert "accuracy" not in found


@pytest.mark.parametrize(
    ("relative", "unequal", "holds"),
    [
        (9e-5, 0, True),
        (2e-4, 0, False),
        (float("nan"), 0, False),
        (0, 1, True),
        (0, 2, False),
        (float("inf"), 0, False),
    ],
)
def test_a_proof_holds_within_its_limits(relative: float, unequal: int, holds: bool) -> None:
    assert Proof(True, 10_000, relative, relative, unequal, None).holds == holds
