"""`trainer predict`: its table says of each input what a plain loop over the same files says."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from predicting import Predict, commanded, table
from running import SILENT

from trainer.cli.main import main
from trainer.system import machine

PHOTOS = ("model=linear", "data=folder", "data.size=8", "data.cache=null", "epochs=2", *SILENT)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs on photos of three classes, `one` and `two`, which sees them larger."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    for place, label in enumerate(("cat", "dog", "emu")):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(rng.normal(60 + 60 * place, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number:02}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, more in (("one", ()), ("two", ("data.size=12", "seed=1"))):
            assert main(["train", *PHOTOS, "data.path=photos", f"name={name}", *more]) == 0
            (made,) = Path("runs", name).iterdir()
            Path(name).symlink_to(made)
    return folder


@pytest.fixture
def predict(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Predict:
    """Run `trainer predict ARGS...` there."""
    monkeypatch.chdir(home)
    return commanded(capfd)


def probabilities(run: str, files: list[str], size: int) -> torch.Tensor:
    """What the model of a run says of files, by a plain loop with Pillow and torch."""
    found = torch.load(Path(run, "checkpoints", "best.pt"), weights_only=True)
    facts, weights = json.loads(found["description"]), found["model"]
    said = []
    for file in files:
        pixels = Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        inputs = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).double() / 255
        inputs = (inputs - torch.tensor(facts["mean"])[:, None, None]) / torch.tensor(facts["std"])[:, None, None]
        logits = inputs.flatten() @ weights["linear.weight"].double().T + weights["linear.bias"].double()
        said.append(logits.softmax(0))
    return torch.stack(said)


def files_below(folder: str) -> list[str]:
    return sorted(map(str, Path(folder).rglob("*.png")))


def test_a_folder_becomes_a_table_of_what_a_plain_loop_says(predict: Predict) -> None:
    ran = predict("one", "input=photos", "predict.all=true")
    assert ran.code == 0, ran.err
    found, files = table(), files_below("photos")
    expected = probabilities("one", files, 8)
    assert found["input"].to_list() == files
    classes = ["cat", "dog", "emu"]
    assert torch.allclose(torch.from_numpy(found[[f"p_{name}" for name in classes]].to_numpy()), expected, atol=1e-6)
    best, order = expected.sort(1, descending=True)
    for rank, word in enumerate(("predicted", "second", "third")):
        assert found[word].to_list() == [classes[place] for place in order[:, rank]]
    assert np.allclose(found["probability"], best[:, 0], atol=1e-6)
    assert np.allclose(found["third_probability"], best[:, 2], atol=1e-6)
    assert found["error"].null_count() == len(found)
    assert "36 images" in ran.out
    assert "... and 26 more rows" in ran.out


def test_its_accuracy_is_that_of_an_evaluation_of_the_same_files(
    predict: Predict, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict("one", "input=photos").code == 0
    found = table()
    right = sum(Path(file).parent.name == name for file, name in found[["input", "predicted"]].iter_rows())
    assert main(["eval", "one", "split=all"]) == 0
    assert f"accuracy           {100 * right / len(found):.2f}%" in capfd.readouterr().out


@pytest.mark.parametrize("processes", [False, True])
def test_every_kind_of_input_says_the_same_of_a_file(
    predict: Predict, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes:
        monkeypatch.setattr("trainer.predict.decoding.FEW", 2)
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1})
    assert predict("one", "input=photos", "out=all.jsonl").code == 0
    every = pl.read_ndjson("all.jsonl")
    for given, wanted in (
        ("photos/dog/03.png", ["photos/dog/03.png"]),
        ("photos/dog", files_below("photos/dog")),
        ("photos/*/0[12].png", [f for f in files_below("photos") if f[-6:] in ("01.png", "02.png")]),
        ("photos/**/1?.png", [f for f in files_below("photos") if f[-6] == "1"]),
        ("[photos/emu/00.png,photos/cat]", ["photos/emu/00.png", *files_below("photos/cat")]),
    ):
        assert predict("one", f"input={given}", "out=some.parquet").code == 0
        some = pl.read_parquet("some.parquet")
        assert some["input"].to_list() == wanted
        expected = every.filter(pl.col("input").is_in(wanted))
        same = some.sort("input").drop("error").equals(expected.sort("input").drop("error"))
        close = np.allclose(some.sort("input")["probability"], expected.sort("input")["probability"], atol=1e-6)
        assert same or (close and some.sort("input")["predicted"].equals(expected.sort("input")["predicted"]))


def test_several_checkpoints_answer_together_by_the_mean_of_their_probabilities(predict: Predict) -> None:
    ran = predict("one", "two", "input=photos", "predict.all=true")
    assert ran.code == 0, ran.err
    found, files = table(), files_below("photos")
    one, two = probabilities("one", files, 8), probabilities("two", files, 12)
    mean = (one + two) / 2
    assert np.allclose(found[["p_cat", "p_dog", "p_emu"]].to_numpy(), mean, atol=1e-6)
    votes = torch.stack([one.argmax(1), two.argmax(1)])
    agreement = (votes == mean.argmax(1)).double().mean(0)
    assert found["agreement"].to_list() == agreement.tolist()
    both = 100 * float((votes[0] == votes[1]).double().mean())
    assert f"all name the same class for {both:.2f}%, two of them for {both:.2f}%" in ran.out


def test_classes_that_are_left_out_are_neither_predicted_nor_written(predict: Predict) -> None:
    assert predict("one", "input=photos/dog", "predict.classes=[cat,emu]", "predict.all=true").code == 0
    found = table()
    expected = probabilities("one", files_below("photos/dog"), 8)[:, [0, 2]]
    assert found["predicted"].to_list() == [("cat", "emu")[place] for place in expected.argmax(1)]
    assert np.allclose(found["probability"], expected.max(1).values, atol=1e-6)
    assert found.columns[-3:] == ["p_cat", "p_emu", "error"]
    assert "third" not in found.columns


def test_a_class_below_the_threshold_is_not_predicted(predict: Predict) -> None:
    assert predict("one", "input=photos", "predict.threshold=0.5", "predict.top=1").code == 0
    found = table()
    assert found.columns == ["input", "predicted", "probability", "error"]
    assert 0 < found["predicted"].null_count() < len(found)
    assert (found["predicted"].is_null() == (found["probability"] < 0.5)).all()


def test_a_broken_image_becomes_a_row_with_its_reason(predict: Predict, tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2b.jpg").write_text("no image")
    (tmp_path / "4b.avif").write_bytes(b"\0\0\0 ftypavif")
    ran = predict("one", f"input={tmp_path}")
    assert ran.code == 1
    assert ran.err.startswith("error: 3 of 7 images could not be used\n")
    found = table()
    broken = found.filter(pl.col("error").is_not_null())
    assert [Path(file).name for file in broken["input"]] == ["1.png", "2b.jpg", "4b.avif"]
    assert broken["predicted"].null_count() == broken["probability"].null_count() == 3
    assert found["predicted"].null_count() == 3


REFUSED = [
    (("one", "input=nothing.png"), "input=nothing.png: no such file"),
    (("one", "input=[]"), "input=[] is empty"),
    (("one", "input=photos", "out=table.xlsx"), ".csv, .parquet or .jsonl"),
    (("one", "input=photos", "out=nowhere/table.csv"), "there is no folder nowhere"),
    (("one", "input=photos", "out=mine.csv"), "mine.csv is there, and is no table of predictions"),
    (("one", "input=photos", "out=photos"), "out=photos: a table of predictions is"),
    (("one", "input=mine.csv"), "a model of images, and mine.csv is a table"),
    (("one", "input=-"), "standard input is read as a table"),
    (("one", "input=empty"), "there is no image"),
    (("one", "input='photos/*.jpg'"), "there is no image"),
    (("one", "input=photos", "predict.classes=[cow]"), "there is no class cow"),
    (("one", "input=photos", "predict.top=0"), "predict.top"),
    (("nothing", "input=photos"), "ckpt=nothing"),
    (("input=photos",), "ckpt= is missing"),
    (("one",), "input= is missing"),
]


@pytest.mark.parametrize(("args", "said"), REFUSED, ids=[" ".join(args) for args, _ in REFUSED])
def test_a_mistake_is_told_in_a_line_and_nothing_is_written(predict: Predict, args: tuple[str], said: str) -> None:
    Path("mine.csv").write_text("input,label\n1,2\n")
    Path("empty").mkdir(exist_ok=True)
    before = {path: path.read_bytes() for path in Path().glob("*.*") if path.is_file()}
    ran = predict(*args)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 2
    assert {path: path.read_bytes() for path in Path().glob("*.*") if path.is_file()} == before


def test_earlier_predictions_are_replaced_in_every_format(predict: Predict) -> None:
    for out in ("again.csv", "again.parquet", "again.jsonl"):
        assert predict("one", "input=photos", f"out={out}", "predict.all=true").code == 0
        assert predict("one", "two", "input=photos/cat", f"out={out}").code == 0
        assert len(Path(out).read_bytes()) > 0
        Path(out).unlink()
    assert not [*Path().glob(".*.part")]


def test_names_of_files_that_would_be_obeyed_are_text(predict: Predict, tmp_path: Path) -> None:
    names = ("=cmd.png", "two\nlines.png", "\x1b[31mred.png", 'a,b".png', os.fsdecode(b"caf\xe9.png"))
    for name in names:
        Image.new("RGB", (9, 9)).save(tmp_path / "made.png")
        (tmp_path / "made.png").rename(tmp_path / name)
    ran = predict("one", f"input={tmp_path}", "out=names.jsonl")
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out
    found = [Path(name).name for name in pl.read_ndjson("names.jsonl")["input"]]
    assert sorted(found) == sorted([*names[:4], "caf\\xe9.png"])
    run = Path("one").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(["predict", str(run), "input=*.png"]) == 0
        found = table()["input"].to_list()
    assert sorted(found) == sorted(["'=cmd.png", "two\nlines.png", "\\x1b[31mred.png", 'a,b".png', "caf\\xe9.png"])
