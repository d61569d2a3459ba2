"""`data.drop_last`: a last batch that is smaller than the others is taken, left out, or left out only where it must."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import Trainer
from running import SILENT, reported, result, rows, same, train, weights

from trainer.data.batches import Batches, generator
from trainer.data.splits import Split

CPU = torch.device("cpu")
NORMED = """
from torch import nn


class Normed(nn.Sequential):
    def __init__(self, outputs: int):
        super().__init__(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs))
"""


@pytest.fixture(autouse=True)
def normed(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (empty / "normed_net.py").write_text(NORMED)
    (empty / "configs" / "model").mkdir(parents=True)
    (empty / "configs" / "model" / "normed.yaml").write_text("_target_: normed_net.Normed\noutputs: ${data.outputs}\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("normed_net", None)


# 33 samples to train: batches of 16, 16 and 1; or of 10, 10, 10 and 3.
FEW = (*SILENT, "data=digits", "data.size=8", "data.limit=33", "data.val_fraction=0", "epochs=3")


def test_only_a_smaller_last_batch_is_left_out_of_the_same_order() -> None:
    numbers = torch.arange(10)
    for size, sizes in ((4, [4, 4]), (5, [5, 5]), (10, [10]), (None, [10]), (99, [10]), (9, [9]), (1, [1] * 10)):
        batches = Batches(Split(numbers[:, None].float(), numbers), size, CPU, seed=3)
        batches.drops_last = True
        assert (batches.sizes, len(batches)) == (sizes, len(sizes))
        for epoch in range(3):
            order = torch.randperm(10, generator=generator(3, epoch, "order"))[: sum(sizes)]
            found = [targets for _, targets in batches.epoch(epoch)]
            assert [len(targets) for targets in found] == sizes
            assert (sum(sizes) == 10 and size is None) or size >= 10 or torch.equal(torch.cat(found), order)
            rest = [targets for _, targets in batches.epoch(epoch, start=1)]
            assert all(map(torch.equal, rest, found[1:]))
        assert sum(len(targets) for _, targets in batches) == 10  # in order, as for evaluation: all


def test_a_last_batch_of_one_sample_is_left_out_with_batch_normalisation(trainer: Trainer) -> None:
    ran = trainer("train", *FEW, "model=normed", "data.batch_size=16")
    assert ran.code == 0, ran.err
    assert "the last batch of each epoch, of 1 sample, is left out" in " ".join(ran.out.split())
    (auto,) = Path("runs/normed_digits").iterdir()
    assert [row["step"] for row in rows(auto)] == [2, 4, 6]
    explicit = train(trainer, *FEW, "model=normed", "data.batch_size=16", "data.drop_last=true")
    assert same(weights(auto), weights(explicit))


@pytest.mark.parametrize(
    ("args", "steps"),
    [
        (("model=linear", "data.batch_size=16"), 3),
        (("model=normed", "data.batch_size=10"), 4),
        (("model=normed", "data.batch_size=33"), 1),
        (("model=linear", "data.batch_size=16", "data.drop_last=false"), 3),
        (("model=linear", "data.batch_size=10", "data.drop_last=true"), 3),
        (("model=linear", "data.batch_size=10", "data.drop_last=true", "accumulate=2"), 2),
        (("model=linear", "data.batch_size=99", "data.drop_last=true"), 1),
    ],
)
def test_an_epoch_has_so_many_steps(trainer: Trainer, args: tuple[str, ...], steps: int) -> None:
    ran = trainer("train", *FEW, *args)
    assert ran.code == 0, ran.err
    (run,) = (path.parent for path in Path("runs").rglob("result.json"))
    assert [row["step"] for row in rows(run)] == [steps, 2 * steps, 3 * steps]
    left_out = "data.drop_last=true" in args and "data.batch_size=99" not in args
    assert ("is left out" in " ".join(ran.out.split())) == left_out


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("data.batch_size=16", "data.drop_last=false"), "leave data.drop_last=false out"),
        (("data.batch_size=1",), "set a larger data.batch_size"),
        (("data.limit=1",), "set a larger data.batch_size"),
    ],
)
def test_a_batch_of_one_sample_that_cannot_be_left_out_is_refused(
    trainer: Trainer, args: tuple[str, ...], hint: str
) -> None:
    ran = trainer("train", *FEW, "model=normed", *args)
    assert ran.code == 2
    assert "the last batch has one sample" in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1].strip() == hint
    assert not Path("runs").exists()


def test_a_batch_of_one_sample_is_taken_where_torch_trains_on_it(trainer: Trainer, empty: Path) -> None:
    """Of an image of more than one pixel batch normalisation has values enough."""
    layers = "nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(outputs)"
    (empty / "normed_net.py").write_text(NORMED.partition("super()")[0] + f"super().__init__({layers})\n")
    options = (*FEW, "model=normed", "data.drop_last=false", "data.placement=stream")
    run = train(trainer, *options, "data.batch_size=16")
    assert [row["step"] for row in rows(run)] == [3, 6, 9]
    assert rows(train(trainer, *options, "data.batch_size=1", "max_steps=2", "output=one"))[-1]["step"] == 2
    assert rows(train(trainer, *FEW, "model=normed", "data.batch_size=16", "output=auto"))[-1]["step"] == 6


def test_other_values_are_refused(trainer: Trainer) -> None:
    ran = trainer("train", *FEW, "data.drop_last=never")
    assert ran.code == 2
    assert "data.drop_last=never: no such choice" in ran.err


def test_a_schedule_ends_with_the_last_step(trainer: Trainer) -> None:
    """One that would take the learning rate to zero after 9 steps."""
    options = ("model=linear", "data.batch_size=10", "data.drop_last=true", "scheduler=cosine", "optim.lr=0.1")
    found = [row["lr"] for row in rows(train(trainer, *FEW, *options))]
    expected = [0.05 * (1 + torch.cos(torch.tensor(torch.pi * step / 9)).item()) for step in (3, 6, 8)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_training_without_its_last_batches_is_resumed_to_the_bit(trainer: Trainer) -> None:
    options = (*FEW, "model=normed", "data.batch_size=16", "data.augment.shift=1")
    whole = train(trainer, *options)
    cut = train(trainer, *options, "max_steps=3")
    ran = trainer("resume", str(cut), "max_steps=null")
    assert ran.code == 0, ran.err
    assert same(weights(cut), weights(whole))
    assert reported(cut) == reported(whole)
    ran = trainer("resume", str(cut), "data.drop_last=false")
    assert ran.code == 2


def test_jobs_that_are_stepped_together_leave_the_same_out(trainer: Trainer) -> None:
    options = (*FEW, "model=mlp", "data.batch_size=10", "data.drop_last=true", "precision=float64")
    ran = trainer("train", "-m", *options, "sweep=batched", "seed=0,1", "optim.lr=0.1,0.01")
    assert ran.code == 0, ran.err
    (sweep,) = (path.parent for path in Path("runs/sweeps").rglob("plan.json"))
    for number, (seed, rate) in enumerate(itertools.product((0, 1), (0.1, 0.01))):
        alone = train(trainer, *options, f"seed={seed}", f"optim.lr={rate}")
        job = sweep / str(number)
        assert result(job)["steps"] == result(alone)["steps"] == 9
        for name, values in weights(alone).items():
            torch.testing.assert_close(weights(job)[name], values, rtol=1e-9, atol=1e-12)
