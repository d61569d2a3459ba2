"""What `trainer.load` gives is called on images and rows in any form that people have them in."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from PIL import Image
from running import SILENT
from two_runs import only, with_runs

import trainer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of digits and one of a table."""
    return with_runs(tmp_path_factory.mktemp("python"))


@pytest.fixture
def digits(place: Path) -> Path:
    return only(place / "runs" / "digits")


@pytest.fixture
def table(place: Path) -> Path:
    return only(place / "runs" / "table")


Pixels = np.ndarray


def png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


FORMS: dict[str, Callable[[Pixels, Path], Any]] = {
    "an array (N, H, W)": lambda images, folder: images,
    "an array (N, H, W, 1)": lambda images, folder: images[..., None],
    "an array (N, H, W, 3)": lambda images, folder: np.stack([images] * 3, -1),
    "a tensor (N, H, W)": lambda images, folder: torch.from_numpy(images),
    "a tensor (N, 1, H, W)": lambda images, folder: torch.from_numpy(images)[:, None],
    "a tensor (N, 3, H, W)": lambda images, folder: torch.from_numpy(np.stack([images] * 3, 1)),
    "arrays": lambda images, folder: list(images),
    "opaque arrays": lambda images, folder: [np.dstack([i, i, i, np.full_like(i, 255)]) for i in images],
    "tensors (1, H, W)": lambda images, folder: [torch.from_numpy(image)[None] for image in images],
    "PIL images": lambda images, folder: tuple(map(Image.fromarray, images)),
    "bytes": lambda images, folder: [png(image) for image in images],
    "paths": lambda images, folder: [saved(image, folder / f"{i}.png") for i, image in enumerate(images)],
}


def saved(pixels: Pixels, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def images() -> Pixels:
    from sklearn.datasets import load_digits

    small = (load_digits().images[:40] * (255 / 16)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((28, 28))) for each in small])


@pytest.mark.parametrize("form", FORMS)
def test_images_in_any_form_get_the_answers_of_their_files(
    form: str, digits: Path, images: Pixels, tmp_path: Path
) -> None:
    model = trainer.load(digits, device="cpu")
    expected = model([saved(image, tmp_path / f"file{i}.png") for i, image in enumerate(images)])
    answers = model(FORMS[form](images, tmp_path))
    assert len(answers) == len(images)
    assert np.array_equal(answers.probabilities, expected.probabilities)
    assert list(answers.predicted) == list(expected.predicted)
    assert answers.classes == model.classes == tuple("0123456789")
    assert np.array_equal(answers.probabilities.argmax(1), [int(name) for name in answers.predicted])
    assert np.array_equal(answers.probabilities.max(1), answers.probability)


def test_one_image_is_one_and_is_scaled(digits: Path, images: Pixels) -> None:
    model = trainer.load(digits, device="cpu")
    large = np.asarray(Image.fromarray(images[0]).resize((56, 40)))
    for one in (large, large[..., None], np.stack([large] * 3, -1), torch.from_numpy(large)[None], png(large)):
        assert np.array_equal(model(one).probabilities, model([png(large)]).probabilities)


def test_the_answers_are_those_of_the_evaluation(digits: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the test split, asked for in pieces."""
    from test_configs import compose

    from trainer.data.loading import load_dataset

    monkeypatch.chdir(place)
    split = load_dataset(compose("train", "data=digits", "data.limit=100"), lambda items, *_: items).test
    answers = trainer.load(digits, device="cpu")(split.inputs.reshape(-1, 28, 28))
    shown = trainer.evaluate(digits, device="cpu")["test/accuracy"]
    assert np.mean(answers.predicted == split.targets.numpy().astype(str)) == pytest.approx(shown)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "of type int"),
        ([], "there are no images"),
        (np.zeros((0, 28, 28), np.uint8), "there are no images"),
        (np.zeros((28, 28)), "nothing says which of its values are black"),
        (torch.zeros(1, 28, 28), "nothing says which of its values are black"),
        (np.zeros((28, 28, 2), np.uint8)[None], "is no image"),
        (np.zeros((1, 2, 3, 4, 5), np.uint8), "is no image"),
        (["nowhere.png"], "nowhere.png"),
        ([np.zeros((9, 9), np.uint8), b"no image"], "image 1 cannot be read: it is none of"),
        (Image.new("F", (8, 8)), "its pixels are floats"),
        ({"length": [1]}, "of type dict"),
    ],
)
def test_what_is_no_image_is_refused(digits: Path, given: Any, words: str) -> None:
    with pytest.raises(trainer.UserError, match=re.escape(words)):
        trainer.load(digits, device="cpu")(given)


def test_an_image_that_is_given_is_not_changed(digits: Path) -> None:
    image = Image.new("RGBA", (9, 5), (10, 20, 30, 0))
    image.getexif()[0x112] = 6
    before = image.tobytes(), image.size, image.mode
    trainer.load(digits, device="cpu")(image)
    assert (image.tobytes(), image.size, image.mode) == before


def test_rows_in_any_form_get_the_same_answers(table: Path, place: Path) -> None:
    model = trainer.load(table, device="cpu")
    frame = pandas.read_csv(place / "things.csv")
    assert model.columns == ("length", "colour")
    expected = model(frame)
    assert set(expected.predicted) <= {"long", "short"}
    wide = polars.read_csv(place / "things.csv")
    rows = wide.to_dicts()
    forms = [
        wide, wide.to_dict(as_series=False), rows, frame[["colour", "length"]], frame.convert_dtypes(),
        frame.astype({"colour": "category"}), {name: frame[name].to_numpy() for name in frame},
        [{name: value for name, value in row.items() if value is not None} for row in rows],
    ]  # fmt: skip
    for number, form in enumerate(forms):
        assert np.array_equal(model(form).probabilities, expected.probabilities), number
    assert np.array_equal(model(rows[1]).probabilities, expected.probabilities[1:2])


def test_what_is_no_table_is_refused(table: Path) -> None:
    model = trainer.load(table, device="cpu")
    for given, words in ((3, "of type int"), ([], "is no table"), ("things.csv", "of type str"),
                         (pandas.DataFrame({"other": [1]}), "none of the model's columns"),
                         ({"length": [1.0, 2.0], "colour": ["red"]}, "has 1 row"),
                         ({"length": [], "colour": []}, "no rows"),
                         ([[1.0, 2.0], [3.0]], "not of one length")):  # fmt: skip
        with pytest.raises(trainer.UserError, match=words):
            model(given)


def test_regression_gives_values_in_the_targets_units(empty: Path) -> None:
    from sklearn.datasets import load_diabetes

    run = trainer.train(*SILENT, "data=diabetes", "model=linear", epochs=20)
    features, targets = load_diabetes(return_X_y=True, scaled=False)
    model = run.predictor(device="cpu")
    answers = model(features)
    assert answers.predicted.shape == (len(targets),)
    assert (answers.probability, answers.probabilities, answers.classes, model.classes) == (None,) * 4
    assert abs(answers.predicted.mean() - targets.mean()) < targets.std()
    assert np.array_equal(model(torch.from_numpy(features)).predicted, answers.predicted)
    assert np.array_equal(model(dict(zip(model.columns, features.T, strict=True))).predicted, answers.predicted)
