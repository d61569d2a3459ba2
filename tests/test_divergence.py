"""A loss that is not finite: the training stops, skips the step or goes on, as `on_nan` says; nothing good is lost."""

import sys
from pathlib import Path

import pytest
import resuming
import running
import torch
from conftest import Ran, Trainer

from trainer import data
from trainer.data.batches import generator
from trainer.data.sets.digits import Digits

SICK = '''
import torch
from torch import nn


SEEN = []  # the inputs of every training step


class Net(nn.Module):
    """A linear layer whose output, and so its gradient, is not finite in one training step, or in each (`at=-1`).

    With `value=0` that step's gradients are zero instead, and it leaves the statistics of its inputs out.
    """

    def __init__(self, at, value="nan"):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(784), nn.Linear(784, 10)
        self.at, self.value, self.calls = at, float(value), 0

    def forward(self, inputs):
        inputs = inputs.flatten(1)
        if self.training:
            self.calls += 1
            SEEN.append(inputs)
            if self.at in (self.calls, -1):
                if self.value == 0:
                    return self.linear(torch.zeros_like(inputs)) * 0
                inputs = inputs * self.value
        return self.linear(self.norm(inputs))
'''
SMALL = ("model=sick", "data.limit=100", "data.batch_size=10", "epochs=3", "optim.lr=0.01")  # 9 steps in an epoch


@pytest.fixture
def sick(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    Path("sick.py").write_text(SICK)
    folder = Path("configs/model")
    folder.mkdir(parents=True)
    (folder / "sick.yaml").write_text("_target_: sick.Net\nat: 0\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "sick", raising=False)

    def run(*args: str) -> Ran:
        return trainer("train", *SMALL, "tensorboard.enabled=false", *args)

    return run


def only_run() -> Path:
    (run,) = running.runs()
    return run


def finite(run: Path) -> bool:
    return all(bool(v.isfinite().all()) for v in running.weights(run).values() if v.is_floating_point())


@pytest.mark.parametrize("step", [1, 2, 17])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_it_stops_names_the_step_and_keeps_the_last_finite_checkpoint(sick: Trainer, step: int, value: str) -> None:
    ran = sick(f"model.at={step}", f"+model.value={value}", "checkpoint.every_steps=1", "plots=false")
    assert ran.code == 1
    assert f"epoch {1 + (step - 1) // 9}, step {step}" in ran.err
    run = only_run()
    assert f"trainer resume {run}" in ran.err
    assert running.result(run)["status"] == "failed"
    assert running.checkpoint(run)["step"] == step - 1
    assert finite(run)


def test_the_batch_that_did_it_is_saved_and_drawn(sick: Trainer) -> None:
    ran = sick("model.at=12", "data.augment.shift=2")
    assert ran.code == 1
    assert str(only_run() / "diverged.pt") in ran.err
    saved = torch.load(only_run() / "diverged.pt", weights_only=True)
    assert torch.equal(saved["inputs"].flatten(1), sys.modules["sick"].SEEN[11])
    targets = data.load(Digits(limit=100, cache=None)).train.targets
    order = torch.randperm(len(targets), generator=generator(0, 1, "order"))  # of the second epoch: its third batch
    assert torch.equal(saved["targets"], targets[order[20:30]])
    assert (saved["epoch"], saved["step"]) == (2, 12)
    assert (only_run() / "plots" / "diverged.png").stat().st_size > 1000


def test_weights_that_are_not_finite_stop_it_though_every_loss_was(trainer: Trainer) -> None:
    asked = ("model=linear", "data=line", "epochs=3", "optim=sgd", "optim.lr=1e38", "plots=false")
    ran = trainer("train", *asked, "tensorboard.enabled=false", "checkpoint.every_steps=1")
    assert ran.code == 1
    assert "not finite" in ran.err or "the loss is" in ran.err
    assert finite(only_run())


def test_going_on_with_skip_leaves_the_bad_step_out(sick: Trainer, trainer: Trainer) -> None:
    assert sick("model.at=12", "checkpoint.every_steps=1").code == 1
    run = only_run()
    # The model counts its calls from the resumption on: its twelfth, again bad, is step 23.
    ran = trainer("resume", str(run), "on_nan=skip")
    assert ran.code == 0, ran.err
    assert running.result(run)["status"] == "completed"
    assert [row.get("skipped") for row in running.rows(run)] == [None, None, 1]
    assert finite(run)


def test_skip_takes_all_steps_but_the_bad_one(sick: Trainer) -> None:
    """As if there had been no such step, but for the random numbers that it drew: this model draws none."""
    plainly = ("optim=sgd", "optim.momentum=0", "optim.lr=0.01")  # a gradient of zero is no step then
    assert sick("model.at=12", "on_nan=skip", *plainly, "output=skipped").code == 0
    bad = only_run()
    assert sick("model.at=12", "+model.value=0", *plainly, "output=left_out").code == 0
    (plain,) = running.runs() - {bad}
    assert resuming.unequal(running.weights(bad), running.weights(plain)) == []
    rows = running.rows(bad)
    assert [row.get("skipped") for row in rows] == [None, 1, None]
    assert all(row["train/loss"] is not None for row in rows)


def test_skip_ends_where_nothing_is_left(sick: Trainer) -> None:
    ran = sick("model.at=-1", "on_nan=skip", "seed=5")
    assert ran.code == 1
    assert "all steps of epoch 1, up to step 9, are not finite" in ran.err
    torch.manual_seed(5)
    first = torch.nn.Linear(784, 10)
    left = running.weights(only_run())
    assert torch.equal(left["linear.weight"], first.weight)
    assert torch.equal(left["linear.bias"], first.bias)


def test_ignore_trains_to_the_end(sick: Trainer) -> None:
    ran = sick("model.at=12", "on_nan=ignore", "plots=false")
    assert ran.code == 0, ran.err
    rows = running.rows(only_run())
    assert rows[0]["train/loss"] is not None
    assert rows[1]["train/loss"] is None  # JSON has no nan
    assert running.checkpoint(only_run())["step"] == 27
