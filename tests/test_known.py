"""A checkpoint remembers what its model was trained on, and an evaluation says how much of that it meets again."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Ran, Trainer
from folders import picture, tree
from hostile import honest, saved
from running import SILENT, checkpoint, result, train
from torch import Tensor

from trainer import data
from trainer.data import known
from trainer.data.digests import digests
from trainer.data.known import KEPT, Found, Trained, found_again
from trainer.data.sets.diabetes import Diabetes
from trainer.data.splits import Split

TRAINED = (
    *SILENT,
    "model=mlp",
    "data=csv",
    "data.path=noise.csv",
    "data.target=y",
    "data.val_fraction=0.1",
    "model.dropout=0",
    "optim=adam",
    "optim.lr=0.03",
)


def noise(path: str = "noise.csv", rows: int = 400, order: np.ndarray | None = None) -> None:
    """A table of 20 columns that say nothing of their labels."""
    rng = np.random.default_rng(0)
    columns, labels = rng.normal(size=(rows, 20)), rng.choice(["a", "b"], rows)
    lines = [",".join([*(f"{value:.6f}" for value in row), label]) for row, label in zip(columns, labels, strict=True)]
    header = ",".join([*(f"x{n}" for n in range(20)), "y"])
    Path(path).write_text("\n".join([header, *(lines[n] for n in (range(rows) if order is None else order))]) + "\n")


def warnings(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return [line for line in ran.out.splitlines() if "little of new data" in line]


@pytest.fixture
def learnt(trainer: Trainer) -> Path:
    """A run that has learnt noise by heart."""
    noise()
    run = train(trainer, *TRAINED, "epochs=60")
    said = result(run)["metrics"]
    assert said["train/loss"] < 0.2
    assert said["test/accuracy"] < 0.7
    return run


def test_the_samples_of_the_training_are_known_in_every_disguise_and_no_others(trainer: Trainer, learnt: Path) -> None:
    kept = checkpoint(learnt, "best")["known"]
    assert (kept["samples"], len(kept["digests"]), kept["bits"]) == (288, 288, 0)
    assert kept["digests"].dtype == torch.int64
    assert torch.equal(kept["digests"], checkpoint(learnt)["known"]["digests"])

    assert warnings(trainer("eval", f"ckpt={learnt}")) == []
    assert warnings(trainer("eval", f"ckpt={learnt}", "split=val")) == []
    assert warnings(trainer("eval", f"ckpt={learnt}", "split=train")) == []
    (said,) = warnings(trainer("eval", f"ckpt={learnt}", "data.split_seed=1"))
    assert "of 80 evaluated samples the model was trained on" in said
    assert said.endswith(": its figures say little of new data")
    (said,) = warnings(trainer("eval", f"ckpt={learnt}", "data.test_fraction=0.5"))
    assert "of 200 evaluated samples the model was trained on" in said

    noise("shuffled.csv", order=np.random.default_rng(1).permutation(400))
    ran = trainer("eval", f"ckpt={learnt}", "data.path=shuffled.csv")
    assert "all samples, for the model was not trained on data.path=shuffled.csv, 400 samples" in ran.out
    assert "of 400 evaluated samples the model was trained on 288" in warnings(ran)[0]


def test_the_count_is_that_of_the_rows_themselves(trainer: Trainer) -> None:
    def rows(part: str, **keys: int) -> set[tuple[float, ...]]:
        return {tuple(row) for row in data.load(Diabetes(**keys)).split(part).inputs.tolist()}

    run = train(trainer, *SILENT, "model=linear", "data=diabetes", "epochs=1")
    count = len(rows("train") & rows("test", split_seed=1))
    (said,) = warnings(trainer("eval", f"ckpt={run}", "data.split_seed=1"))
    assert f"of 88 evaluated samples the model was trained on {count}: " in said


def test_training_on_says_what_the_weights_have_seen_before(trainer: Trainer, learnt: Path) -> None:
    assert warnings(trainer("train", f"from={learnt}", *SILENT, "epochs=1")) == []
    said = warnings(trainer("train", f"from={learnt}", *SILENT, "epochs=1", "data.split_seed=1"))
    assert [line.split(f" {learnt}")[0].split(" samples")[0] for line in said] == [
        "warning: of 32 val",
        "warning: of 80 test",
    ]
    assert all("say little of new data" in line for line in said)


def test_renamed_images_are_known(trainer: Trainer) -> None:
    after = tree(Path("photos/train"), {"cat": 12, "dog": 12})
    tree(Path("photos/test"), {"cat": 3, "dog": 3}, after)
    args = ("model=linear", "data=folder", "data.path=photos", "data.size=8", "data.val_fraction=0", "epochs=1")
    run = train(trainer, *SILENT, *args)
    for number, path in enumerate(sorted(Path("photos/train").rglob("*.png"))):
        target = Path("others", path.parent.name, f"renamed{number}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    picture(Path("others/cat/new.png"), 200)
    ran = trainer("eval", f"ckpt={run}", "data.path=others")
    assert "all samples, for the model was not trained on data.path=others, 25 samples" in ran.out
    assert "of 25 evaluated samples the model was trained on 24: its figures" in warnings(ran)[0]


# --- what is usual ------------------------------------------------------------------------------------


def flowers(count: int, twins: int) -> torch.Tensor:
    """Rows of which so many are equal to their neighbours."""
    values = torch.arange(float(count))
    values[1 : 2 * twins : 2] = values[0 : 2 * twins : 2]
    return values[:, None]


def split(rows: torch.Tensor) -> Split:
    return Split(rows, torch.zeros(len(rows), dtype=torch.int64))


@pytest.mark.parametrize(
    ("twins", "again", "leak"),
    [(0, 0, False), (0, 1, False), (0, 2, False), (0, 3, True), (10, 6, False), (10, 11, True)],
)
def test_as_many_equal_samples_as_there_are_among_those_of_the_training_are_no_alarm(
    twins: int, again: int, leak: bool
) -> None:
    kept = Trained(split(flowers(100, twins))).state_dict()
    evaluated = torch.cat([torch.arange(99.0, 99.0 - again, -1), torch.arange(1000.0, 1040 - again)])[:, None]
    found = found_again(kept, split(evaluated))
    assert found is not None
    assert (found.count, found.total, found.about, found.leak) == (again, 40, False, leak)
    assert found.usual == pytest.approx(40 * 2 * twins / 100)


def test_of_many_samples_a_share_is_kept_and_the_count_is_an_estimate() -> None:
    rows = torch.arange(300_000.0, dtype=torch.float64)[:, None]
    kept = Trained(split(rows)).state_dict()
    assert KEPT / 2 < len(kept["digests"]) <= KEPT
    assert kept["bits"] == 3
    found = found_again(kept, split(torch.cat([rows[:20_000], -1 - rows[:20_000]])))
    assert found is not None
    assert found.about
    assert found.count == pytest.approx(20_000, rel=0.05)
    assert found.counted == f"about {found.count:,}"


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on_is_evaluated_without_a_word() -> None:
    assert found_again(None, split(flowers(10, 0))) is None


def test_nothing_is_found_where_there_is_nothing_to_compare() -> None:
    kept = {"digests": torch.zeros(0, dtype=torch.int64), "samples": 0, "bits": 5}
    assert found_again(kept, split(flowers(3, 0))) == Found(0, 3, 0.0, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"digests": torch.zeros(3)},
        {"digests": torch.zeros(3, dtype=torch.int32)},
        {"digests": torch.zeros(3, 1, dtype=torch.int64)},
        {"digests": torch.zeros(1, dtype=torch.int64).expand(1000)},
        {"digests": torch.zeros(2**20 + 1, dtype=torch.int64)},
        {"digests": [1, 2]},
        {"samples": -1},
        {"bits": 63},
        {"bits": 1.0},
        {"bits": None},
    ],
    ids=str,
)
def test_what_a_strangers_file_says_it_was_trained_on_is_checked(trainer: Trainer, changes: dict[str, object]) -> None:
    known = {"digests": torch.zeros(3, dtype=torch.int64), "samples": 3, "bits": 0} | changes
    Path("theirs.pt").write_bytes(saved(honest(known=known)))
    ran = trainer("eval", "ckpt=theirs.pt")
    assert ran.code == 2
    assert "theirs.pt is damaged: its 'known' is not what it should be" in ran.err


def test_samples_are_digested_by_the_thread_that_trains(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second thread that computes would have workers of its own, and all of them would wait for each other."""
    threads = []

    def digested(split: Split) -> Tensor:
        threads.append(threading.current_thread())
        return digests(split)

    monkeypatch.setattr(known, "digests", digested)
    assert trainer("train", "data.limit=40", "epochs=1", *SILENT).code == 0
    assert threads == [threading.main_thread()]
