"""Folders of images against torchvision's transforms; what people's folders have wrong."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pretending
import pytest
import torch
from folders import picture, tree
from PIL import Image

from trainer import data
from trainer.data.image import Way, read_image
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset
from trainer.system.errors import DataError


def load(path: Path, **keys: Any) -> Dataset:
    return data.load(Folder(path=str(path), **({"size": 10, "val_fraction": 0.0, "cache": None} | keys)))


def numbers(dataset: Dataset, part: str) -> list[int]:
    split = getattr(dataset, part)
    return sorted(split.inputs[:, 0, 0, 0].tolist()) if split is not None else []


def with_classes(dataset: Dataset, part: str) -> dict[int, str]:
    """Each image's number and the name of its class."""
    assert dataset.classes is not None
    split = getattr(dataset, part)
    return {n: dataset.classes[t] for n, t in zip(split.inputs[:, 0, 0, 0].tolist(), split.targets, strict=True)}


# --- trees --------------------------------------------------------------------------------------------


def test_a_single_tree_is_split_without_overlap(tmp_path: Path) -> None:
    tree(tmp_path, {"b": 20, "a": 10})
    found = load(tmp_path, test_fraction=0.3, val_fraction=0.2)
    train, val, test = (numbers(found, part) for part in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (17, 4, 9)
    assert sorted(train + val + test) == list(range(30))
    assert found.classes == ("a", "b")
    assert with_classes(found, "train") == {n: "b" if n < 20 else "a" for n in train}


def test_the_split_of_a_single_tree_depends_on_split_seed_alone(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 15, "b": 15})
    torch.manual_seed(1)
    first = numbers(load(tmp_path), "test")
    torch.manual_seed(2)
    assert numbers(load(tmp_path), "test") == first
    assert numbers(load(tmp_path, split_seed=1), "test") != first


@pytest.mark.parametrize("parts", [["train", "test"], ["train", "val", "test"], ["train", "val"], ["train"]])
def test_folders_called_train_val_and_test_are_taken_as_such(tmp_path: Path, parts: list[str]) -> None:
    first, ranges = 0, {}
    for part in parts:
        ranges[part] = list(range(first, tree(tmp_path / part, {"a": 5, "b": 5}, first)))
        first += 10
    found = load(tmp_path)
    for part in ("val", "test"):
        if part in parts:
            assert numbers(found, part) == ranges[part]
    if "test" in parts:
        assert numbers(found, "train") == ranges["train"]
    else:
        assert len(found.test) == 2
        assert sorted(numbers(found, "train") + numbers(found, "test")) == ranges["train"]


def test_a_limit_is_a_prefix_that_has_all_classes(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"a": 20, "b": 20})
    tree(tmp_path / "test", {"a": 20, "b": 20}, first=100)
    whole, some = load(tmp_path), load(tmp_path, limit=10)
    assert torch.equal(some.train.inputs, whole.train.inputs[:10])
    assert torch.equal(some.test.targets, whole.test.targets[:10])
    assert set(some.train.targets.tolist()) == {0, 1}


def test_hidden_files_other_files_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 5, "b": 5})
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").touch()
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._000.png"):
        (tmp_path / "a" / name).write_bytes(b"not an image")
    found = load(tmp_path)
    assert found.classes == ("a", "b")
    assert sorted(numbers(found, "train") + numbers(found, "test")) == list(range(10))


@pytest.mark.parametrize("name", ["0.JPG", "0.jpeg", "0.webp", "0.bmp", "0.tif", "ünï cødé.png"])
def test_common_formats_are_read(tmp_path: Path, name: str) -> None:
    for label in ("a", "b"):
        for number in range(3):
            picture(tmp_path / label / f"{number}{name}", number)
    assert len(load(tmp_path).train) == 5


# --- mistakes -----------------------------------------------------------------------------------------


def empty_class(root: Path) -> None:
    tree(root / "train", {"a": 3})
    (root / "train" / "empty").mkdir()


def differing_classes(root: Path) -> None:
    tree(root / "train", {"a": 3, "b": 3})
    tree(root / "test", {"a": 3, "c": 3})


def one_class(root: Path) -> None:
    tree(root, {"a": 3})


def no_class(root: Path) -> None:
    picture(root / "0.png")


def missing(root: Path) -> None:
    root.rmdir()


def broken(root: Path) -> None:
    tree(root, {"a": 3, "b": 3})
    (root / "b" / "broken.jpg").write_bytes(b"no picture")


def truncated(root: Path) -> None:
    tree(root, {"a": 3, "b": 3})
    whole = picture(root / "b" / "cut.png", size=(200, 200)).read_bytes()
    (root / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (empty_class, r"train/empty has no images"),
        (differing_classes, r"test has c, which training has not, and not b, which it has"),
        (one_class, r"has one folder, 'a' in it, and classification needs two"),
        (no_class, r"has no folder in it"),
        (missing, r"data\.path=.*: no such folder"),
        (broken, r"b/broken\.jpg cannot be read as an image"),
        (truncated, r"b/cut\.png cannot be read as an image"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, mistake: Any, message: str) -> None:
    (tmp_path / "images").mkdir()
    mistake(tmp_path / "images")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "images")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"channels": 2}, r"data\.channels=2: images have 1 channel"),
        ({"mean": [0.5, 0.5], "std": [1.0, 1.0]}, r"data\.mean=\[0\.5, 0\.5\]: 3 numbers are needed"),
        ({"mean": [0.5], "std": [0.0]}, r"data\.std=.*above 0"),
        ({"mean": [0.5]}, r"data\.mean and data\.std go together"),
        ({"test_fraction": 0.01}, r"data\.test_fraction=0\.01 of 10 samples in .* leaves an empty split"),
        ({"size": 10_000_000}, r"use a smaller data\.size|samples take"),
    ],
)
def test_keys_that_cannot_work_are_named(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    tree(tmp_path, {"a": 5, "b": 5})
    with pytest.raises(DataError, match=message):
        load(tmp_path, **keys)


# --- several processes ----------------------------------------------------------------------------------

forking = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode, however few the files."""
    pretending.parallel_decoding(monkeypatch)


@forking
@pytest.mark.parametrize("size", [10, 700])  # a part is all files, or two
def test_processes_decode_what_one_does(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {"a": 7, "b": 8})
    alone = load(tmp_path, size=size)
    pretending.parallel_decoding(monkeypatch)
    progress: list[tuple[int, int]] = []

    def track(items: Any, total: int, doing: str) -> Any:
        items = list(items)
        progress.append((len(items), total))
        return items

    config = Folder(path=str(tmp_path), size=size, val_fraction=0, cache=None)
    found = data.load(config, track)
    assert torch.equal(found.train.inputs, alone.train.inputs)
    assert torch.equal(found.test.inputs, alone.test.inputs)
    assert progress == [(15, 15)]


@forking
def test_a_broken_image_that_a_process_meets_is_named(tmp_path: Path, two_processes: None) -> None:
    broken(tmp_path)
    with pytest.raises(DataError, match=r"b/broken\.jpg cannot be read as an image"):
        load(tmp_path)


@forking
def test_a_process_that_is_killed_ends_the_decoding(
    tmp_path: Path, two_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for want of memory."""
    tree(tmp_path, {"a": 5, "b": 5})
    pretending.decoding(monkeypatch, lambda path: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(DataError, match="a process that decodes images was killed"):
        load(tmp_path)


# --- pixels -------------------------------------------------------------------------------------------


def test_mean_and_std_are_measured_on_the_training_part_or_as_given(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 20, "b": 20})
    found = load(tmp_path, val_fraction=0.2)
    pixels = found.train.inputs.double().numpy() / 255
    assert found.mean == pytest.approx(pixels.mean((0, 2, 3)))
    assert found.std == pytest.approx(pixels.std((0, 2, 3)))
    given = load(tmp_path, mean=[0.5], std=[0.1, 0.2, 0.3])
    assert (given.mean, given.std) == ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))


def torchvisions(path: Path, channels: int, steps: Sequence[Any]) -> torch.Tensor:
    """(C, H, W) uint8 as torchvision's transforms of a PIL image give it."""
    from torchvision import transforms

    image = Image.open(path).convert("L" if channels == 1 else "RGB")
    return transforms.Compose([*steps, transforms.PILToTensor()])(image)


SIZES = [(40, 40), (60, 40), (40, 61), (33, 57), (58, 31), (24, 24), (10, 90)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_images_are_scaled_to_the_square_as_torchvision_does(
    tmp_path: Path, size: tuple[int, int], channels: int
) -> None:
    from torchvision import transforms

    path = picture(tmp_path / "a.png", 7, size)
    found = torch.tensor(read_image(path, Way(24, None, channels))).permute(2, 0, 1)
    assert torch.equal(found, torchvisions(path, channels, [transforms.Resize((24, 24))]))


@pytest.mark.parametrize("resize", [27, 32, 20])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_resize_and_centre_crop_are_torchvisions(tmp_path: Path, size: tuple[int, int], resize: int) -> None:
    """Also where the crop is larger than the image: torchvision pads it with black."""
    from torchvision import transforms

    path = picture(tmp_path / "a.png", 7, size)
    found = torch.tensor(read_image(path, Way(24, resize, 3))).permute(2, 0, 1)
    assert torch.equal(found, torchvisions(path, 3, [transforms.Resize(resize), transforms.CenterCrop(24)]))


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_mode_becomes_grey_or_colour(tmp_path: Path, mode: str, channels: int) -> None:
    path = picture(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), 7, (24, 24), mode)
    found = read_image(path, Way(24, None, channels))
    assert found.shape == (24, 24, channels)
    assert torch.equal(torch.tensor(found).permute(2, 0, 1), torchvisions(path, channels, []))


def test_sixteen_bit_images_keep_their_contrast(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", Way(16, None, 1))[..., 0]
    assert np.abs(found.astype(int) - levels // 257).max() <= 1


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 255)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "clear.png", Way(4, None, 3)).tolist() == [[[255, 255, 255]] * 4] * 4
    assert read_image(tmp_path / "red.png", Way(4, None, 3)).tolist() == [[[255, 0, 0]] * 4] * 4
