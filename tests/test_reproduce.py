"""`trainer reproduce`: a training that is run again is the same to the bit, or it is said where it parts."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Ran, Trainer
from left_behind import leave, result
from running import SILENT, rows, same, train, weights

from trainer.compare import sameness
from trainer.config.composition import group_choices

SMALL = (*SILENT, "data.limit=100", "model=linear", "epochs=3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is copied by each test."""
    from trainer.cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TRAINER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        torch.set_num_threads(1)
        assert main(["train", *SMALL, "name=small", "optim.lr=0.01"]) == 0
    (run,) = (folder / "runs" / "small").iterdir()
    return run


@pytest.fixture
def run(trained: Path, empty: Path) -> Path:
    shutil.copytree(trained, empty / "before")
    return Path("before")


def again(trainer: Trainer, run: Path, *words: str) -> tuple[Ran, Path | None]:
    """`trainer reproduce`, and the directory that it has made."""
    ran = trainer("reproduce", str(run), *words)
    made = sorted(path.parent for path in Path().rglob("result.json") if not path.is_relative_to(run))
    return ran, made[-1] if made else None


def test_a_training_that_is_run_again_is_equal_to_the_bit(trainer: Trainer, run: Path) -> None:
    ran, made = again(trainer, run)
    assert ran.code == 0, ran.err
    assert made is not None
    assert "equal to the bit: 3 rows of the curve and all 7,850 weights" in ran.out
    assert made.parent == Path("runs/small")
    assert same(weights(run), weights(made))
    assert (made / "overrides.yaml").read_text() == (run / "overrides.yaml").read_text()
    assert json.loads((made / "origin.json").read_text())["reproduces"] == str(run)
    ran, _ = again(trainer, made, "output=elsewhere", "name=other")
    assert ran.code == 0, ran.err
    assert Path("elsewhere/other").is_dir()


def test_a_part_of_it_is_compared_as_far_as_it_goes(trainer: Trainer, run: Path) -> None:
    ran, _ = again(trainer, run, "epochs=2")
    assert ran.code == 0, ran.err
    assert "equal to the bit: 2 rows of the curve of before" in ran.out
    assert "1 row of the run is not compared" in ran.out
    assert "the weights are not compared" in ran.out


def test_where_it_parts_is_named_with_both_values(trainer: Trainer, run: Path) -> None:
    changed = rows(run)
    changed[1]["val/loss"] *= 1.01
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    told = json.loads((run / "result.json").read_text())
    told["environment"]["torch"] = "1.0"
    (run / "result.json").write_text(json.dumps(told))
    ran, made = again(trainer, run)
    assert made is not None
    assert ran.code == 1
    assert f"epoch 2, step 4, val/loss: {changed[1]['val/loss']!r} and {rows(made)[1]['val/loss']!r}" in ran.err
    assert "torch: 1.0, now" in ran.err


def test_a_small_difference_is_rounding(trainer: Trainer, run: Path) -> None:
    changed = rows(run)
    changed[2]["train/loss"] *= 1 + 1e-6
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    ran, _ = again(trainer, run)
    assert ran.code == 0, ran.err
    assert "equal within rounding" in ran.out
    assert "relative difference 1.0e-06, at epoch 3, step 6, train/loss" in ran.out


def test_other_weights_are_told_even_where_the_curve_is_the_same(trainer: Trainer, run: Path) -> None:
    path = run / "checkpoints" / "last.pt"
    content = torch.load(path, weights_only=True)
    name = next(iter(content["model"]))
    content["model"][name].view(-1)[7] += 1.0
    torch.save(content, path)
    ran, _ = again(trainer, run)
    assert ran.code == 1
    assert f"the weights, {name}" in ran.err


def test_what_would_be_another_training_is_refused(trainer: Trainer, run: Path) -> None:
    for words, said in (
        (("optim.lr=0.5",), "the run was trained with optim.lr=0.01, and this would be another training"),
        (("model=lenet",), "a training is repeated with what it was started with"),
        (("-m", "seed=1,2"), "a run is reproduced once"),
    ):
        ran, made = again(trainer, run, *words)
        assert ran.code == 2
        assert said in ran.err
        assert made is None


def test_what_cannot_be_reproduced_is_one_line(trainer: Trainer, run: Path) -> None:
    (run / "metrics.jsonl").write_text("")
    ran, _ = again(trainer, run)
    assert ran.code == 2
    assert "nothing to compare with" in ran.err
    Path("sweep").mkdir()
    Path("sweep/sweep.jsonl").touch()
    ran = trainer("reproduce", "sweep")
    assert ran.code == 2
    assert ran.err == "error: sweep has no job that has completed\n  go on with it: trainer resume sweep\n"
    assert trainer("reproduce", "nowhere").code == 2


def test_a_resumed_training_is_reproduced_whole(trainer: Trainer) -> None:
    cut = train(trainer, *SMALL, "epochs=1")
    assert trainer("resume", str(cut), "epochs=3").code == 0
    ran, _ = again(trainer, cut)
    assert ran.code == 0, ran.err
    assert "equal to the bit: 3 rows of the curve and all 7,850 weights" in ran.out


def test_a_training_from_other_weights_begins_with_them_again(trainer: Trainer, run: Path) -> None:
    child = train(trainer, f"from={run}", *SILENT, "data.limit=80", "data.batch_size=16", "epochs=2")
    ran, made = again(trainer, child)
    assert ran.code == 0, ran.err
    assert made is not None
    assert "equal to the bit" in ran.out
    assert json.loads((made / "origin.json").read_text())["parent"]["path"] == str(run / "checkpoints" / "best.pt")
    shutil.rmtree(run)
    ran = trainer("reproduce", str(child))
    assert ran.code == 2
    assert "from=" in ran.err


def test_a_training_that_the_clock_ended_ends_after_as_many_steps(trainer: Trainer) -> None:
    ended = train(trainer, *SILENT, "data.limit=100", "model=linear", "epochs=100000", "max_minutes=0.01", "optim=sgd")
    assert json.loads((ended / "result.json").read_text())["stopped"].startswith("max_minutes=")
    ran, _ = again(trainer, ended)
    assert ran.code == 0, ran.err
    assert "equal to the bit" in ran.out


def test_a_strangers_run_chooses_no_place_and_no_file_of_weights(trainer: Trainer, run: Path) -> None:
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("output: runs", "output: /tmp/elsewhere"))
    ran, made = again(trainer, run)
    assert ran.code == 0, ran.err
    assert made is not None
    assert made.parts[0] == "runs"
    (run / "config.yaml").write_text(config.replace("name: small", "name: ../../outside"))
    assert "it does not name a folder below output=" in again(trainer, run)[0].err
    network = leave(Path("stranger"), result())
    (network / "config.yaml").write_text(
        config.replace("name: linear", "name: torchvision\n  arch: resnet18\n  weights: /etc/passwd")
    )
    ran, _ = again(trainer, network)
    assert ran.code == 2
    assert "a file may not say" in ran.err
    assert "model.weights=/etc/passwd" in ran.err


def test_weights_that_lie_elsewhere_are_to_be_named_again(trainer: Trainer, trained: Path) -> None:
    child = train(trainer, f"from={trained}", *SILENT, "data.limit=80", "epochs=1")
    ran, made = again(trainer, child)
    assert (ran.code, made) == (2, None)
    assert f"type it again: trainer reproduce {child} from={trained}" in ran.err
    ran, _ = again(trainer, child, f"from={trained}")
    assert ran.code == 0, ran.err
    assert "equal to the bit" in ran.out


# --- comparing --------------------------------------------------------------------------------------------


def test_curves_are_compared_step_by_step_and_figures_of_one_alone_left_out() -> None:
    before = [{"epoch": 1, "step": 5, "a": 1.0, "seconds": 1.0}, {"epoch": 1, "step": 9, "a": 2.0, "b": float("nan")}]
    after = [{"epoch": 1, "step": 9, "a": 2.0 + 2e-5, "b": float("nan")}, {"epoch": 1, "step": 5, "a": 1.0, "c": 1.0}]
    found = sameness.curves(before, after, 1e-4)
    assert (found.count, found.equal, found.beyond) == (2, False, None)
    assert found.worst is not None
    assert found.worst.relative == pytest.approx(1e-5, rel=1e-3)
    assert sameness.curves(before, after, 1e-6).beyond == found.first


def test_what_is_nothing_beside_its_curve_is_rounding() -> None:
    before = [{"epoch": 1, "step": 1, "a": 1.0}, {"epoch": 2, "step": 2, "a": 1e-14}]
    after = [{"epoch": 1, "step": 1, "a": 1.0}, {"epoch": 2, "step": 2, "a": 2e-14}]
    assert sameness.curves(before, after, 1e-4).beyond is None


def test_weights_are_compared_bit_by_bit_and_by_shape() -> None:
    one = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)}
    assert sameness.weights(one, {"w": one["w"].clone(), "n": torch.tensor(3)}, 1e-4).equal
    near = {"w": torch.nextafter(one["w"], torch.tensor(9.0)), "n": torch.tensor(3)}
    found = sameness.weights(one, near, 1e-4)
    assert not found.equal
    assert found.beyond is None
    for other in ({"w": one["w"]}, {"w": one["w"].double(), "n": one["n"]}, {"w": one["w"][:1], "n": one["n"]}):
        assert sameness.weights(one, other, 1e-4).beyond is not None
    broken = {"w": torch.tensor([1.0, float("nan")]), "n": torch.tensor(3)}
    assert sameness.weights(one, broken, 1e-4).beyond is not None


# --- recipes ----------------------------------------------------------------------------------------------

FOLDERS = {"finetune_folder", "small_folder", "table"}  # on data of the user's
CIFAR = {"cifar_blitz", "cifar_lenet", "cifar_lenet_best"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({*group_choices("experiment")} - FOLDERS - CIFAR - {"mnist_lenet", "mnist_lenet_best"})
)
def test_a_recipe_that_needs_no_files_is_reproduced_to_the_bit(trainer: Trainer, name: str) -> None:
    made = train(trainer, f"experiment={name}", *SILENT, "max_steps=20")
    ran, _ = again(trainer, made)
    assert ran.code == 0, ran.err
    assert "equal to the bit" in ran.out
