"""`trainer eval` of other data than a model was trained on: all of it, with classes and columns by their names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Trainer
from folders import tree
from running import SILENT, evaluate, train

from trainer.data.described import as_trained
from trainer.data.splits import Dataset, Split
from trainer.data.whole import undivided, whole
from trainer.system.errors import CheckpointError

PHOTOS = ("model=linear", "data=folder", "data.size=8", "epochs=1", *SILENT)


@pytest.fixture
def run(trainer: Trainer) -> Path:
    """Trained on images of two classes."""
    tree(Path("photos"), {"cat": 15, "dog": 15})
    return train(trainer, *PHOTOS, "data.path=photos")


def test_another_folder_is_evaluated_whole_and_a_split_of_it_where_that_is_asked_for(
    trainer: Trainer, run: Path
) -> None:
    tree(Path("others"), {"cat": 7, "dog": 6}, 50)
    said = trainer("eval", f"ckpt={run}", "data.path=others").out
    assert "folder, all samples, for the model was not trained on data.path=others, 13 samples" in said
    assert "folder, test split, 3 samples" in trainer("eval", f"ckpt={run}", "data.path=others", "split=test").out


def test_the_same_folder_by_another_path_is_the_same(trainer: Trainer, run: Path) -> None:
    Path("link").symlink_to("photos")
    for path in ("./photos", Path("photos").absolute(), "link"):
        assert "folder, test split, 6 samples" in trainer("eval", f"ckpt={run}", f"data.path={path}").out
    assert "folder, all samples, 30 samples" in trainer("eval", f"ckpt={run}", "split=all").out


def test_a_folder_that_is_found_beside_the_run_is_the_same(
    trainer: Trainer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("elsewhere").mkdir()
    run, photos = run.absolute(), Path("photos").absolute()
    photos.rename(run / "photos")
    monkeypatch.chdir("elsewhere")
    assert "folder, test split, 6 samples" in trainer("eval", f"ckpt={run}").out
    assert "folder, test split, 6 samples" in trainer("eval", f"ckpt={run}", f"data.path={run / 'photos'}").out


def test_a_folder_with_splits_is_taken_with_all_of_them(trainer: Trainer, run: Path) -> None:
    after = tree(Path("others/train"), {"cat": 3, "dog": 3}, 50)
    tree(Path("others/test"), {"cat": 2, "dog": 2}, after)
    found = evaluate(trainer, f"ckpt={run}", "data.path=others")
    tree(Path("flat"), {"cat": 3, "dog": 3}, 50)
    tree(Path("flat"), {"cat": 2, "dog": 2}, after)
    assert found == pytest.approx(evaluate(trainer, f"ckpt={run}", "data.path=flat"))


def test_what_limited_the_training_does_not_limit_another_folder(trainer: Trainer) -> None:
    tree(Path("photos"), {"cat": 15, "dog": 15})
    tree(Path("others"), {"cat": 7, "dog": 6}, 50)
    run = train(trainer, *PHOTOS, "data.path=photos", "data.limit=10")
    assert ", 13 samples" in trainer("eval", f"ckpt={run}", "data.path=others").out
    said = trainer("eval", f"ckpt={run}", "data.path=others", "data.limit=5").out
    assert "for the model was not trained on data.path=others, 5 samples" in said


def test_classes_are_matched_by_their_names(trainer: Trainer, run: Path) -> None:
    """Another order, and classes that the model does not know."""
    tree(Path("others"), {"bird": 4, "dog": 6, "cat": 5, "ant": 1}, 50)
    said = trainer("eval", f"ckpt={run}", "data.path=others").out
    assert "bird" in said
    assert "ant" in said
    assert "left out" in said
    assert ", 11 samples" in said
    tree(Path("same"), {"dog": 6, "cat": 5}, 54)
    assert evaluate(trainer, f"ckpt={run}", "data.path=others") == pytest.approx(
        evaluate(trainer, f"ckpt={run}", "data.path=same")
    )


def test_data_of_which_the_model_knows_no_class_are_refused(trainer: Trainer, run: Path) -> None:
    tree(Path("others"), {"bird": 4, "ant": 6}, 50)
    ran = trainer("eval", f"ckpt={run}", "data.path=others")
    assert ran.code == 2
    assert "ant, bird" in ran.err
    assert "cat, dog" in ran.err


# --- tables -------------------------------------------------------------------------------------------


HOMES = [f"{area},{kind},{'dear' if area + 60 * (kind == 'villa') > 110 else 'cheap'}" for area in range(40, 160, 2)
         for kind in ("flat", "villa")]  # fmt: skip


def table(path: str, rows: list[str], header: str = "area,kind,price") -> None:
    Path(path).write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def homes(trainer: Trainer) -> Path:
    """Trained on a table with a number, a category and two classes."""
    table("homes.csv", HOMES)
    keys = ("model=mlp", "data=table", "data.path=homes.csv", "data.target=price", "optim=adam", "optim.lr=0.01")
    return train(trainer, *SILENT, *keys, "epochs=5")


def test_a_table_of_few_rows_and_one_class_is_evaluated(trainer: Trainer, homes: Path) -> None:
    table("two.csv", ["41,flat,cheap", "43,flat,cheap"])
    ran = trainer("eval", f"ckpt={homes}", "data.path=two.csv")
    assert ran.code == 0, ran.err
    assert "table, all samples, for the model was not trained on data.path=two.csv, 2 samples" in ran.out
    table("one.csv", ["41,flat,cheap"])
    assert ", 1 sample" in trainer("eval", f"ckpt={homes}", "data.path=one.csv").out


def test_columns_are_matched_by_their_names_and_unseen_words_are_evaluated(trainer: Trainer, homes: Path) -> None:
    table("plain.csv", ["41,flat,cheap", "150,villa,dear", "99,flat,cheap"])
    table("turned.csv", ["cheap,x,flat,41", "dear,y,villa,150", "cheap,z,flat,99"], "price,remark,kind,area")
    found = evaluate(trainer, f"ckpt={homes}", "data.path=plain.csv")
    assert found == pytest.approx(evaluate(trainer, f"ckpt={homes}", "data.path=turned.csv"))
    table("strange.csv", ["41,castle,cheap", "150,,dear"])
    assert ", 2 samples" in trainer("eval", f"ckpt={homes}", "data.path=strange.csv").out


def test_rows_of_classes_that_the_model_does_not_know_are_left_out(trainer: Trainer, homes: Path) -> None:
    table("more.csv", ["41,flat,cheap", "150,villa,priceless", "99,flat,cheap"])
    ran = trainer("eval", f"ckpt={homes}", "data.path=more.csv")
    assert "left out" in ran.out
    assert "priceless" in ran.out
    assert ", 2 samples" in ran.out
    table("none.csv", ["41,flat,a", "150,villa,b", "99,flat,c"])
    ran = trainer("eval", f"ckpt={homes}", "data.path=none.csv")
    assert ran.code == 2
    assert len(ran.err.splitlines()) <= 2


def test_how_the_training_was_split_is_no_matter_for_another_table(trainer: Trainer) -> None:
    table(
        "homes.csv", [f"{row},{['train', 'test', 'val'][n % 3]}" for n, row in enumerate(HOMES)], "area,kind,price,part"
    )
    table("others.csv", HOMES[:9])
    keys = ("model=mlp", "data=table", "data.path=homes.csv", "data.target=price", "data.split=part", "epochs=1")
    run = train(trainer, *SILENT, *keys)
    assert ", 9 samples" in trainer("eval", f"ckpt={run}", "data.path=others.csv").out


# --- data sets ----------------------------------------------------------------------------------------


def dataset(classes: tuple[str, ...] = ("a", "b", "c")) -> Dataset:
    """Ten samples, which are their numbers; of three splits."""
    everything = Split(torch.arange(10.0)[:, None], torch.arange(10) % 3)
    train, val, test = (everything.take(torch.tensor(rows)) for rows in ([1, 4, 8, 9], [0, 5], [2, 3, 6, 7]))
    return Dataset("numbers", train, test, val, classes)


def test_all_samples_are_in_their_own_order() -> None:
    found = whole(dataset())
    assert found.inputs[:, 0].tolist() == [*range(10)]
    assert found.targets.tolist() == [n % 3 for n in range(10)]


def test_samples_that_lie_apart_follow_each_other() -> None:
    raw = dataset()
    raw = replace(raw, test=Split(torch.tensor([[20.0], [30.0]]), torch.tensor([1, 2])))
    found = whole(raw)
    assert found.inputs[:, 0].tolist() == [1, 4, 8, 9, 0, 5, 20, 30]
    assert found.targets[-2:].tolist() == [1, 2]
    assert found[torch.tensor([7, 0, 4])][:, 0].tolist() == [30, 1, 0]
    assert found[2:7:2][:, 0].tolist() == [8, 0, 20]
    assert (found.shape, len(found), found.dtype) == (torch.Size([1]), 8, torch.float32)


def test_a_data_set_that_is_not_divided_has_all_in_one_split() -> None:
    found = undivided(dataset())
    assert (len(found.train), found.val, len(found.test)) == (10, None, 0)
    assert whole(found).inputs[:, 0].tolist() == [*range(10)]


def test_targets_become_those_of_the_models_classes() -> None:
    found = as_trained(dataset(), {"classes": ["c", "x", "a"]})
    assert found.classes == ("c", "x", "a")
    numbers = found.train.inputs[:, 0].long().tolist()
    assert numbers == [8, 9]  # 1 and 4 are of class b
    assert found.train.targets.tolist() == [0, 2]
    assert found.notes == ("left out 3 samples of class 'b', which the model does not know",)


def test_columns_of_another_kind_are_refused() -> None:
    raw = replace(dataset(), columns=("length",))
    with pytest.raises(CheckpointError, match="was trained on columns width; data=numbers has length"):
        as_trained(raw, {"columns": ["width"]})


def test_the_normalisation_is_that_of_the_training() -> None:
    raw = replace(dataset(), mean=(1.0,), std=(2.0,))
    found = as_trained(raw, {"mean": [5], "std": [7]})
    assert (found.mean, found.std) == ((5.0,), (7.0,))
    assert as_trained(raw, {"mean": [5, 6], "std": [7, 8]}).mean == (1.0,)
    assert np.isclose(float(as_trained(raw, {}).std[0]), 2.0)  # type: ignore[index]
