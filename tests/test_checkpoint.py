"""Checkpoints: whole or not at all, read without running anything, refused with a reason."""

import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from trainer import __version__, checkpoint
from trainer.checkpoint.format import VERSION
from trainer.engine import rng
from trainer.system.errors import CheckpointError, StorageError

DESCRIPTION = {"model": {"name": "linear", "in_features": 3}, "classes": ["a", "ü"], "mean": [0.1]}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(torch.equal(found[k], v) for k, v in expected.items())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint as training writes it."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    checkpoint.write(
        tmp_path / "last.pt",
        model.state_dict(),
        DESCRIPTION,
        rng=rng.Generators().state_dict(),
        optimizer=optimizer.state_dict(),
        scheduler={"per_step": []},
        epoch=3,
        batch=1,
        step=31,
        best={"value": 0.5, "epoch": 2, "step": 20},
    )
    return tmp_path / "last.pt"


# --- what is written is read --------------------------------------------------------------------------


def test_what_was_written_is_read(path: Path) -> None:
    found = checkpoint.read(path)
    assert not found.bare
    assert found.path == path
    assert found.description == DESCRIPTION
    assert {k: found.training[k] for k in ("epoch", "batch", "step", "best")} == {
        "epoch": 3,
        "batch": 1,
        "step": 31,
        "best": {"value": 0.5, "epoch": 2, "step": 20},
    }
    assert found.training["versions"]["trainer"] == __version__
    assert found.training["optimizer"]["state"][0]["exp_avg"].shape == (4, 3)
    assert found.training["scheduler"] == {"per_step": []}


def test_weights_come_back_to_the_bit_whatever_their_layout(tmp_path: Path) -> None:
    weights = {
        "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "view": torch.randn(6, 6)[::2, 1:],
        "scalar": torch.tensor(7),
        "half": torch.randn(5).bfloat16(),
    }
    checkpoint.write(tmp_path / "a.pt", weights, {"x": 1})
    assert same(checkpoint.read(tmp_path / "a.pt").model, weights)


def test_the_random_numbers_go_on_where_they_were(path: Path) -> None:
    torch.set_rng_state(checkpoint.read(path).training["rng"]["cpu"])
    found = torch.rand(3)
    network()  # seeds anew
    torch.randn(2, 3)
    assert torch.equal(found, torch.rand(3))


def test_torch_itself_accepts_the_file_with_weights_only(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    assert (content["format"], content["version"]) == ("trainer", VERSION)
    assert json.loads(content["description"]) == DESCRIPTION
    assert set(content["model"]) == set(network().state_dict())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_file_of_a_gpu_is_read_onto_the_cpu(tmp_path: Path) -> None:
    state = network().cuda().state_dict()
    torch.save(state, tmp_path / "bare.pth")
    checkpoint.write(tmp_path / "own.pt", state, DESCRIPTION, optimizer={"m": state["0.weight"]})
    for name in ("bare.pth", "own.pt"):
        found = checkpoint.read(tmp_path / name)
        assert all(v.device.type == "cpu" for v in found.model.values())
        assert same(found.model, {k: v.cpu() for k, v in state.items()})


def test_every_tensor_is_mapped_to_the_cpu(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file saved on a GPU needs where there is none."""
    asked = []
    load = torch.load

    def spy(*args: Any, **keys: Any) -> Any:
        asked.append((keys["map_location"], keys["weights_only"]))
        return load(*args, **keys)

    monkeypatch.setattr(torch, "load", spy)
    checkpoint.read(path)
    assert asked == [("cpu", True)]


# --- files of strangers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
)
def test_prefixes_of_wrappers_go(prefix: str) -> None:
    state = network().state_dict()
    assert same(checkpoint.clean({prefix + k: v for k, v in state.items()}), state)


def test_a_prefix_that_only_some_keys_have_is_a_name() -> None:
    state = {"module.weight": torch.zeros(1), "other.weight": torch.zeros(1)}
    assert same(checkpoint.clean(state), state)
    assert checkpoint.clean({}) == {}


def test_a_wrapped_model_is_written_with_clean_keys(tmp_path: Path) -> None:
    for wrapped in (nn.DataParallel(network()), torch.compile(network(), backend="eager")):
        checkpoint.write(tmp_path / "a.pt", checkpoint.state_of(wrapped), {"x": 1})
        assert list(checkpoint.read(tmp_path / "a.pt").model) == list(network().state_dict())


def test_a_layer_called_module_keeps_its_name(tmp_path: Path) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = network()

    model, again = Outer(), Outer()
    checkpoint.write(tmp_path / "a.pt", checkpoint.state_of(model), {"x": 1})
    checkpoint.load_into(again, checkpoint.read(tmp_path / "a.pt").model, "a.pt")
    assert same(again.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 5},
        {"classes": [1]},
        {"mean": 5},
        {"mean": ["x"]},
        {"std": [0.0]},
        {"std": ["x"]},
        {"choices": ["mynet"]},
        {"columns": {}},
        {"samples": "many"},
        {"levels": [5]},
        {"levels": [9, 9]},
        {"levels": [0, 2**16]},
        {"levels": ["0", "9"]},
    ],
)
def test_a_description_of_wrong_types_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    checkpoint.write(tmp_path / "a.pt", network().state_dict(), {"model": {"name": "linear"}, **wrong})
    with pytest.raises(CheckpointError, match=f"its description's {next(iter(wrong))} are not"):
        checkpoint.read(tmp_path / "a.pt")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: dict(state),
        lambda state: {"state_dict": state, "epoch": 5},
        lambda state: {"model_state_dict": state, "loss": 0.5},
        lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}},
        lambda state: {f"module.{k}": v for k, v in state.items()},
        lambda state: {"state_dict": {f"_orig_mod.{k}": v for k, v in state.items()}},
    ],
    ids=["bare", "dict", "state_dict", "model_state_dict", "model", "module.", "nested _orig_mod."],
)
def test_a_strangers_state_dict_is_read(tmp_path: Path, wrap: Callable[[Any], Any], legacy: bool) -> None:
    state = network().state_dict()
    torch.save(wrap(state), tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    found = checkpoint.read(tmp_path / "net.pth")
    assert found.bare
    assert found.training == {}
    assert same(checkpoint.clean(found.model), state)
    loaded = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    checkpoint.load_into(loaded, found.model, found.path)
    assert same(loaded.state_dict(), state)


# --- files that are refused ---------------------------------------------------------------------------


def flip_a_weight(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = next(i for i in archive.infolist() if "/data/" in i.filename and i.file_size >= 48)
    content[entry.header_offset + 30 + len(entry.filename) + 200] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def as_json(path: Path) -> None:
    path.write_text('{"model": {"fc.weight": [1, 2]}}')


def as_image(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path, format="png")


def as_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def as_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"fc.weight": [1.0]}))


def as_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def as_text(path: Path) -> None:
    path.write_text("hello world\n" * 100)


def saved(content: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def of_version(version: int) -> Callable[[Path], None]:
    return saved({"format": "trainer", "version": version, "model": network().state_dict(), "description": "{}"})


def no_description(path: Path) -> None:
    torch.save({"format": "trainer", "version": VERSION, "model": network().state_dict(), "description": "{"}, path)


def nan_description(path: Path) -> None:
    checkpoint.write(path, network().state_dict(), {"std": [float("nan")]})


def no_model(path: Path) -> None:
    torch.save({"format": "trainer", "version": VERSION, "model": {}, "description": "{}"}, path)


def nan_weights(path: Path) -> None:
    state = network().state_dict()
    state["1.bias"][2] = float("nan")
    torch.save(state, path)


def infinite_weights(path: Path) -> None:
    state = network().state_dict()
    state["0.weight"][0, 0] = float("inf")
    checkpoint.write(path, state, DESCRIPTION)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_weight, r"is damaged: the CRC of .*/data/\d+ is wrong"),
        (cut, "is not a checkpoint|is damaged"),
        (cut_the_end, "is not a checkpoint|is damaged"),
        (empty, "is empty"),
        (as_json, "is not a checkpoint"),
        (as_image, "is not a checkpoint"),
        (as_zip, "is not a checkpoint"),
        (as_pickle, "is not a checkpoint"),
        (as_numpy, "is not a checkpoint"),
        (as_text, "is not a checkpoint"),
        (saved([1, 2]), "is not a checkpoint: it holds a list"),
        (saved(torch.zeros(3)), "is not a checkpoint: it holds a Tensor"),
        (saved({}), "is not a checkpoint: no state_dict is in it"),
        (saved({"epoch": 3}), "is not a checkpoint: no state_dict is in it"),
        (saved(network()), "holds more than tensors and plain values"),
        (of_version(99), rf"has format version 99; this trainer {__version__} reads version {VERSION}"),
        (of_version(1), rf"has format version 1; this trainer {__version__} reads version {VERSION}"),
        (no_description, "is damaged: its description cannot be read"),
        (nan_description, "is damaged: its description is not what it should be"),
        (no_model, "is damaged: it has no model"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.read(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(("damage", "first"), [(nan_weights, "1.bias"), (infinite_weights, "0.weight")])
def test_weights_that_are_not_finite_are_read_and_named(path: Path, damage: Callable[[Path], None], first: str) -> None:
    assert checkpoint.read(path).broken == ""
    damage(path)
    assert checkpoint.read(path).broken == first


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_no_damaged_file_ends_in_anything_but_an_error_of_ours(tmp_path: Path, legacy: bool) -> None:
    """200 files with random bytes overwritten or cut off: each is refused, or its weights have the right shapes."""
    buffer = io.BytesIO()
    torch.save(network().state_dict(), buffer, _use_new_zipfile_serialization=not legacy)
    whole, rng = np.frombuffer(buffer.getvalue(), np.uint8), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        broken = whole.copy()
        broken[rng.integers(len(whole), size=8)] = rng.integers(256, size=8)
        cut_at = len(whole) if rng.random() < 0.7 else rng.integers(len(whole))
        (tmp_path / "net.pth").write_bytes(broken[:cut_at].tobytes())
        try:
            found = checkpoint.read(tmp_path / "net.pth")
            checkpoint.load_into(network(), found.model, found.path)
        except CheckpointError:
            refused += 1
    assert refused > 100


class Evil:
    """Unpickled by `pickle.load`, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("where", ["model", "description", "optimizer", "epoch"])
def test_code_in_a_file_is_not_run(tmp_path: Path, where: str, legacy: bool) -> None:
    content: dict[str, Any] = {
        "format": "trainer",
        "version": VERSION,
        "model": network().state_dict(),
        "description": "{}",
    }
    content[where] = Evil(tmp_path / "pwned")
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


# --- what `ckpt=` means -------------------------------------------------------------------------------


def run_directory(parent: Path, *names: str) -> Path:
    (parent / "checkpoints").mkdir()
    for name in names:
        checkpoint.write(parent / "checkpoints" / name, network().state_dict(), {"x": name})
    return parent


@pytest.mark.parametrize(
    ("names", "chosen"), [(["best.pt", "last.pt"], "best.pt"), (["last.pt"], "last.pt"), (["best.pt"], "best.pt")]
)
def test_a_run_directory_means_its_best_or_else_its_last(tmp_path: Path, names: list[str], chosen: str) -> None:
    run_directory(tmp_path, *names)
    for given in (tmp_path, tmp_path / "checkpoints", tmp_path / "checkpoints" / chosen):
        assert checkpoint.read(given).description == {"x": chosen}


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("folder", "a directory without a run", "give a run directory"),
        ("lats.pt", "no such file or directory", "did you mean .*last.pt"),
        ("nowhere/x.pt", "no such file or directory", "has: .*last.pt"),
        ("x" * 300, "no such file|file name too long", ""),
        ("pipe", "not a regular file", ""),
    ],
)
def test_a_path_without_a_checkpoint_is_refused(path: Path, given: str, message: str, hint: str) -> None:
    os.mkfifo(path.parent / "pipe")
    (path.parent / "folder").mkdir()
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.read(path.parent / given)
    assert re.search(hint, caught.value.hint)


# --- models that do not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": torch.zeros(4, 5)}, r"^net\.pth does not fit the model: 0\.weight is 4x5, expected 4x3$"),
        ({"0.bias": None}, r"0\.bias is missing$"),
        ({"fc.bias": torch.zeros(2)}, r"fc\.bias is not the model's$"),
        (
            {"0.weight": None, "0.bias": None, "1.weight": None, "1.bias": None, "x": torch.zeros(())},
            r"0\.weight is missing; 0\.bias is missing; 1\.weight is missing \(and 2 more\)$",
        ),
        ({"1.num_batches_tracked": torch.zeros(2)}, r"1\.num_batches_tracked is 2, expected a scalar$"),
    ],
)
def test_weights_that_do_not_fit_are_named_expected_and_found(change: dict[str, Tensor | None], message: str) -> None:
    changed = network().state_dict() | change
    state = {k: v for k, v in changed.items() if v is not None}
    model = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_into(model, state, "net.pth")
    assert same(model.state_dict(), before)


# --- writing ------------------------------------------------------------------------------------------


def fails(*args: Any, **keys: Any) -> None:
    raise OSError(28, "No space left on device")


def half_written(content: Any, file: Any) -> None:
    file.write(b"half")
    fails()


def interrupted(*args: Any, **keys: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("module", "name", "failure"),
    [
        (torch, "save", half_written),
        (torch, "save", interrupted),
        (os, "fsync", fails),
        (os, "replace", fails),
        (os, "replace", interrupted),
    ],
    ids=["half", "interrupted", "fsync", "replace", "interrupted replace"],
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, failure: Any
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(module, name, failure)
    with pytest.raises((StorageError, KeyboardInterrupt)):
        checkpoint.write(path, network().state_dict(), {"new": True})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


def test_the_file_reaches_the_disk_before_its_name_and_the_name_before_the_return(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[tuple[str, Any]] = []
    fsync, replace = os.fsync, os.replace

    def fsync_spy(handle: int) -> None:
        status = os.fstat(handle)
        log.append(("fsync", status.st_ino))
        fsync(handle)

    def replace_spy(source: Any, target: Any) -> None:
        log.append(("replace", os.stat(source).st_ino))
        assert zipfile.ZipFile(source).testzip() is None  # whole by now
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync_spy)
    monkeypatch.setattr(os, "replace", replace_spy)
    checkpoint.write(path, network().state_dict(), {"new": True})
    file, folder = path.stat().st_ino, path.parent.stat().st_ino
    assert log == [("fsync", file), ("replace", file), ("fsync", folder)]
    assert checkpoint.read(path).description == {"new": True}


# --- descriptions -------------------------------------------------------------------------------------


def test_only_plain_and_finite_values_go_into_a_description() -> None:
    plain = {"text": "x", "whole": 1, "number": 0.5, "flag": True, "none": None, "list": [1, [2]], "dict": {"a": 1}}
    other = {"nan": float("nan"), "path": Path("x"), "tensor": torch.zeros(1), "deep": {"a": [{1, 2}]}, "key": {1: 2}}
    assert checkpoint.scalars(plain | other) == plain
