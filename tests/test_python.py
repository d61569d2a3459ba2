"""`import trainer`: a dozen names that stay as they are, and what they do."""

import inspect
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from PIL import Image
from processes import Machine
from running import QUICK, SILENT, checkpoint, same, weights

import trainer
from trainer.cli.main import main

ROOT = Path(__file__).parents[1]

NAMES = {
    "Answers": "(predicted: 'np.ndarray', probability: 'np.ndarray | None', probabilities: 'np.ndarray | None', "
    "classes: tuple[str, ...] | None) -> None",
    "Predictor": "(model: 'predictor.Predictor') -> None",
    "Run": "(path: pathlib.Path) -> None",
    "TrainerError": "(message: str, hint: str = '') -> None",
    "TrainingFailedError": "(message: str, hint: str = '') -> None",
    "UserError": "(message: str, hint: str = '') -> None",
    "__version__": None,
    "evaluate": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> dict[str, float]",
    "load": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> trainer.face.predicting.Predictor",
    "resume": "(run: 'str | os.PathLike[str]', *overrides: str, **keys: Any) -> trainer.face.run.Run",
    "runs": "(path: 'str | os.PathLike[str]' = 'runs') -> list[trainer.face.run.Run]",
    "train": "(*overrides: str, **keys: Any) -> trainer.face.run.Run",
}
MEMBERS = {
    "Run": {"path", "status", "metrics", "history", "config", "predictor"},
    "Predictor": {"classes", "columns"},
    "Answers": {"predicted", "probability", "probabilities", "classes"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a run of digits and one of a table."""
    here = tmp_path_factory.mktemp("python")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"length": rng.normal(size=80), "colour": rng.choice(["red", "green"], 80)})
    frame.loc[::7, "length"] = np.nan
    frame["kind"] = np.where(frame["length"].fillna(0) > 0, "long", "short")
    frame.to_csv(here / "things.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("TRAINER_CACHE", str(here / "cache"))
        for words in (("name=digits",), ("name=table", "data=table", "data.path=things.csv", "data.target=kind")):
            assert main(["train", *QUICK, *words]) == 0
    return here


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


@pytest.fixture
def digits(place: Path) -> Path:
    return only(place / "runs" / "digits")


@pytest.fixture
def table(place: Path) -> Path:
    return only(place / "runs" / "table")


# --- the names ----------------------------------------------------------------------------------------


def test_the_dozen_names_are_those_and_their_signatures_stay() -> None:
    assert sorted(NAMES) == sorted(trainer.__all__)
    for name, signature in NAMES.items():
        if signature is not None:
            assert str(inspect.signature(getattr(trainer, name))) == signature, name
    for name, members in MEMBERS.items():
        cls = getattr(trainer, name)
        found = {member for member in (*dir(cls), *inspect.get_annotations(cls)) if member[0] != "_"}
        assert found == members, name


def test_every_name_says_what_it_is_for_and_the_page_has_it() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    for name in trainer.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(trainer, name)), name
        assert f"`{name}" in page, name


def test_importing_it_imports_nothing_that_takes_long() -> None:
    heavy = ("torch", "numpy", "hydra", "omegaconf", "rich", "PIL", "polars", "trainer.cli", "trainer.run")
    code = f"import sys, trainer; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.slow
def test_the_code_on_the_page_runs(empty: Path) -> None:
    """One block after the other, as in a notebook."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)  # what the page says is what is tested
    assert len(trainer.runs()) == 4
    assert names["answers"].probabilities.shape == (1, 10)


# --- train, resume, evaluate --------------------------------------------------------------------------


def test_training_from_python_is_the_training_of_the_command(empty: Path) -> None:
    words = (*SILENT, "model=mlp", "epochs=2", "data.limit=200", "optim=sgd", "seed=3")
    assert main(["train", *words, "optim.lr=0.1", "name=typed", "model.hidden=[8,8]"]) == 0
    run = trainer.train(*words, **{"optim.lr": np.float64(0.1), "model.hidden": (8, 8)}, name="called")
    typed = only(Path("runs/typed"))
    assert same(weights(run.path), weights(typed))
    assert checkpoint(run.path)["step"] == checkpoint(typed)["step"]
    assert run.path.parent == Path("runs/called")
    assert run.status == "completed"
    assert run.metrics == json.loads((typed / "result.json").read_text())["metrics"]


def test_random_generators_are_left_as_they_stood(empty: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3), np.random.default_rng(0)
    torch.manual_seed(5)
    np.random.seed(5)
    number = np.random.random()
    np.random.seed(5)
    trainer.train(*QUICK)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.random() == number


def test_values_of_python_mean_what_they_are(empty: Path) -> None:
    """Whatever letters are in a text."""
    name = "it's [a], {b}: c=1, \\ #2"
    run = trainer.train(*QUICK, name="x/y [z], it's", max_steps=1, clip_norm=None, deterministic=False)
    assert (run.config["name"], run.config["clip_norm"], run.config["deterministic"]) == ("x/y [z], it's", None, False)
    with pytest.raises(trainer.UserError, match=re.escape(name)):
        trainer.train(*QUICK, **{"data": "table", "data.path": name, "data.target": "x"})
    with pytest.raises(trainer.UserError, match="no key takes the type object"):
        trainer.train(epochs=object())
    with pytest.raises(trainer.UserError, match="not an override"):
        trainer.train({"epochs": 3})  # type: ignore[arg-type]
    with pytest.raises(trainer.UserError, match="is a flag"):
        trainer.train("-m", "seed=1,2")


def test_history_has_columns_of_one_length(empty: Path) -> None:
    run = trainer.train(*SILENT, "model=linear", "epochs=2", "data.limit=200", "evaluate.every_steps=2")
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    history = run.history
    assert {len(column) for column in history.values()} == {len(rows)}
    for number, row in enumerate(rows):
        assert {name: column[number] for name, column in history.items() if column[number] is not None} == row
    assert any(None in column for column in history.values())
    frame = pandas.DataFrame(history)
    assert list(frame["epoch"].dropna()) == [row["epoch"] for row in rows]


def test_a_run_that_has_not_begun_says_so(empty: Path) -> None:
    (empty / "run").mkdir()
    run = trainer.Run(empty / "run")
    assert (run.status, run.metrics) == ("unfinished", {})
    with pytest.raises(trainer.UserError):
        _ = run.config


def test_a_mistake_is_raised_with_what_to_do_and_leaves_nothing(empty: Path) -> None:
    with pytest.raises(trainer.UserError) as caught:
        trainer.train("model=lenett")
    assert str(caught.value).splitlines() == ["model=lenett: no such config", "  did you mean 'lenet'?"]
    assert len(caught.traceback) == 2  # the call, and the one place that raises: no way through the inside
    assert not Path("runs").exists()
    with pytest.raises(trainer.UserError, match="no such file"):
        trainer.load("nowhere")
    with pytest.raises(trainer.UserError, match="no such file or directory"):
        trainer.runs("nowhere")


def test_a_training_that_fails_raises_and_can_be_read(empty: Path) -> None:
    with pytest.raises(trainer.TrainingFailedError, match=r"the loss is inf(.|\n)*trainer resume"):
        trainer.train(*SILENT, "model=linear", "data=line", "epochs=3", "optim=sgd", "optim.lr=1e38")
    (run,) = trainer.runs()
    assert run.status == "failed"


def test_runs_are_found_however_deep_and_through_no_link(place: Path, digits: Path, table: Path, empty: Path) -> None:
    assert [run.path for run in trainer.runs(place / "runs")] == sorted([digits, table], key=lambda p: p.name)[::-1]
    (empty / "runs").mkdir()
    (empty / "runs" / "link").symlink_to(place / "runs")
    assert trainer.runs() == []
    assert trainer.runs(trainer.Run(digits)) == [trainer.Run(digits)]


def test_a_run_may_stand_where_a_path_may(digits: Path) -> None:
    run = trainer.Run(digits)
    assert "config.yaml" in os.listdir(run)
    assert trainer.evaluate(run) == trainer.evaluate(str(digits))


def test_a_sweep_is_evaluated_and_not_resumed(empty: Path) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    sweep = only(Path("runs/sweeps/sweep"))
    assert 0 <= trainer.evaluate(sweep)["test/accuracy"] <= 1
    assert len(trainer.runs("runs/sweeps")) == 2
    with pytest.raises(trainer.UserError, match="the command line resumes it"):
        trainer.resume(sweep)


def test_trainings_in_threads_take_turns_and_are_those_of_the_command(place: Path, digits: Path, empty: Path) -> None:
    found: list[trainer.Run] = []
    threads = [threading.Thread(target=lambda: found.append(trainer.train(*QUICK, name="threads"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(found) == 2
    assert all(same(weights(run.path), weights(digits)) for run in found)


def test_a_program_that_uses_hydra_itself_keeps_its_config(empty: Path) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    (empty / "own").mkdir()
    (empty / "own" / "mine.yaml").write_text("value: 3\n")
    with initialize_config_dir(str(empty / "own"), version_base="1.3"):
        whole = compose("mine", return_hydra_config=True)
        HydraConfig.instance().set_config(whole)
        before = HydraConfig.get()
        trainer.train(*QUICK)
        assert HydraConfig.get() is before
        assert compose("mine").value == 3
    HydraConfig.instance().cfg = None
    assert not GlobalHydra.instance().is_initialized()
    trainer.train(*QUICK)
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is None


INTERRUPTED = """
import signal, sys, trainer
word = sys.argv[1]
try:
    trainer.train(*sys.argv[2:])
except KeyboardInterrupt as error:
    print("raised:", type(error).__name__, error, flush=True)
run, = trainer.runs()
print("status:", run.status, len(run.history["epoch"]), flush=True)
run = trainer.resume(run, epochs=len(run.history["epoch"]) + 1)
print("then:", run.status, flush=True)
"""
LONG = (*SILENT, "model=linear", "epochs=100000", "data.limit=200")


def test_an_interrupted_training_is_checkpointed_raises_and_is_resumed(machine: Machine) -> None:
    started = machine.start("word", *LONG, code=INTERRUPTED)
    started.until_said(r" +\d+ +\d+ ")
    started.send(signal.SIGINT)
    ended = started.wait()
    assert ended.code == 0, ended.err
    assert "raised: KeyboardInterrupt interrupted in epoch" in ended.out
    assert "status: interrupted" in ended.out
    assert "then: completed" in ended.out


def test_sigterm_ends_the_process_after_the_checkpoint(machine: Machine) -> None:
    started = machine.start("word", *LONG, code=INTERRUPTED)
    started.until_said(r" +\d+ +\d+ ")
    started.send(signal.SIGTERM)
    ended = started.wait()
    assert ended.code == -signal.SIGTERM
    assert "raised" not in ended.out
    (run,) = Path("runs/linear_digits").iterdir()
    assert trainer.Run(run).status == "interrupted"
    assert trainer.resume(run, epochs=checkpoint(run)["epoch"] + 1).status == "completed"


# --- predictions --------------------------------------------------------------------------------------

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
