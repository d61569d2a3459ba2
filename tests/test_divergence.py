"""A loss that is not finite: the training stops, skips the step or goes on, as `on_nan` says; nothing good is lost."""

from pathlib import Path

import pytest
import resuming
import running
import torch
from conftest import Ran, Trainer

from trainer.engine.steps.eager import EagerStep

SICK = '''
import torch
from torch import nn


class Net(nn.Module):
    """A linear layer whose output, and so its gradient, is not finite in one training step."""

    def __init__(self, at, value="nan"):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(784), nn.Linear(784, 10)
        self.at, self.value, self.calls = at, float(value), 0

    def forward(self, inputs):
        inputs = inputs.flatten(1)
        if self.training:
            self.calls += 1
            if self.calls == self.at:
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
    taken = []
    with pytest.MonkeyPatch.context() as patch:
        gradients = EagerStep.gradients
        patch.setattr(EagerStep, "gradients", lambda self, batches: taken.append(batches) or gradients(self, batches))
        ran = sick("model.at=12", "data.augment.shift=2")
    assert ran.code == 1
    assert str(only_run() / "diverged.pt") in ran.err
    saved = torch.load(only_run() / "diverged.pt", weights_only=True)
    ((inputs, targets),) = taken[11]
    assert torch.equal(saved["inputs"], inputs)
    assert torch.equal(saved["targets"], targets)
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
    assert sick("model.at=12", "on_nan=skip", "output=skipped").code == 0
    bad = only_run()
    with pytest.MonkeyPatch.context() as patch:
        steps = EagerStep.__call__
        taken: list[int] = []

        def left_out(self: EagerStep, batches: object) -> torch.Tensor:
            taken.append(1)
            return torch.tensor(1.0) if len(taken) == 12 else steps(self, batches)

        patch.setattr(EagerStep, "__call__", left_out)
        assert sick("output=left_out").code == 0
    (plain,) = running.runs() - {bad}
    assert resuming.unequal(running.weights(bad), running.weights(plain)) == []
    rows = running.rows(bad)
    assert [row.get("skipped") for row in rows] == [None, 1, None]
    assert all(row["train/loss"] is not None for row in rows)


def test_skip_ends_where_nothing_is_left(sick: Trainer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EagerStep, "update", lambda self: pytest.fail("a step was taken"))
        gradients = EagerStep.gradients
        patch.setattr(EagerStep, "gradients", lambda self, batches: gradients(self, batches) * torch.nan)
        ran = sick("on_nan=skip")
    assert ran.code == 1
    assert "all steps of epoch 1, up to step 9, are not finite" in ran.err
    assert finite(only_run())


def test_ignore_trains_to_the_end(sick: Trainer) -> None:
    ran = sick("model.at=12", "on_nan=ignore", "plots=false")
    assert ran.code == 0, ran.err
    rows = running.rows(only_run())
    assert rows[0]["train/loss"] is not None
    assert rows[1]["train/loss"] is None  # JSON has no nan
    assert running.checkpoint(only_run())["step"] == 27
