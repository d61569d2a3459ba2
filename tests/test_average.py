"""The moving average of the weights: what it is, that it is what is evaluated, and that nothing is ever swapped."""

import copy
import errno
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import resuming
import running
import torch
from batching import DIGITS, both
from conftest import Trainer
from processes import Machine
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from traps import Trap

from trainer import checkpoint
from trainer.engine import losses
from trainer.engine.average import Average
from trainer.engine.state import State
from trainer.engine.steps.eager import EagerStep, SkippingStep
from trainer.system.errors import ConfigError

SMALL = (
    "plots=false",
    "tables=false",
    "tensorboard.every_steps=1",
    "epochs=3",
    "data.limit=96",
    "data.batch_size=20",
    "ema=0.9",
)
CONVOLUTIONS = (*SMALL, "model=lenet", "data.size=16", "optim=sgd", "optim.momentum=0.9", "evaluate.every_steps=2")
MLP = (
    *SMALL,
    "model=mlp",
    "data.size=8",
    "optim=adamw",
    "scheduler=cosine",
    "accumulate=2",
    "early_stopping.patience=2",
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def batch(number: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(12, 5, generator=generator), torch.randint(3, (12,), generator=generator)


def trained(average: Average, model: nn.Module, steps: int, first: int = 0) -> None:
    torch.manual_seed(first)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = EagerStep(model, losses.make("cross_entropy"), optimizer, None, nullcontext)
    for number in range(first, first + steps):
        step([batch(number)])
        average.update()


def reference(model: nn.Module, decay: float) -> AveragedModel:
    """torch's own, which begins with the weights of the start, and whose decay rises to `decay`."""

    def average(averaged: Any, current: Any, count: Tensor) -> None:
        updates = int(count) - 1
        weight = 1 - min(decay, (1 + updates) / (10 + updates))
        for into, values in zip(averaged, current, strict=True):
            if into.is_floating_point():
                into.lerp_(values, weight)
            else:
                into.copy_(values)

    found = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    found.update_parameters(model)  # the first one copies
    return found


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torchs_averaged_model_to_the_bit(decay: float, dtype: torch.dtype) -> None:
    model = network().to(dtype)
    average, expected = Average(model, decay), reference(model, decay)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(30):
        inputs, targets = batch(number)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs.to(dtype)), targets).backward()
        optimizer.step()
        average.update()
        with torch.no_grad():
            expected.update_parameters(model)
        assert running.same(average.averaged.state_dict(), expected.module.state_dict())
    assert not running.same(average.averaged.state_dict(), model.state_dict())


def test_before_the_first_update_it_is_the_model_and_the_start_soon_counts_little() -> None:
    model = network()
    average = Average(model, 0.999)
    assert running.same(average.averaged.state_dict(), model.state_dict())
    with torch.no_grad():
        for values in (*model.parameters(), *average.averaged.parameters()):
            values.zero_()
        for values in model.parameters():
            values.fill_(1.0)
    for _ in range(40):
        average.update()
    assert all(float(values.min()) > 0.99 for values in average.averaged.parameters())


def test_what_is_not_trained_stays_and_buffers_that_are_no_means_are_copied() -> None:
    class Masked(nn.Module):
        mask: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.trained = nn.Linear(2, 2), nn.Linear(2, 2)
            self.frozen.requires_grad_(False)
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    model = Masked()
    average = Average(model, 0.9)
    before = copy.deepcopy(average.averaged.state_dict())
    model.mask = torch.tensor([1.0, -torch.inf])  # a new tensor in its place
    with torch.no_grad():
        model.trained.weight.add_(1)
    average.update()
    found = average.averaged.state_dict()
    assert found["mask"].tolist() == [1.0, -torch.inf]
    assert torch.equal(found["frozen.weight"], before["frozen.weight"])
    torch.testing.assert_close(found["trained.weight"], before["trained.weight"] + 0.9)


def test_a_step_that_is_skipped_is_not_averaged() -> None:
    model = network()
    average = Average(model, 0.9, skips=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = SkippingStep(model, losses.make("cross_entropy"), optimizer, None, nullcontext, "skip")
    for number, good in enumerate((True, False, True)):
        inputs, targets = batch(number)
        state = State(batch=1, losses=torch.stack([step([(inputs if good else inputs * torch.nan, targets)])]))
        average.on_step(state)
    assert average.updates == 2


def test_a_model_that_cannot_be_copied_is_refused_in_a_line() -> None:
    class Open(nn.Module):
        def __deepcopy__(self, memo: object) -> "Open":
            raise TypeError("cannot pickle a socket")

    with pytest.raises(ConfigError, match="ema: this model cannot be copied: cannot pickle a socket"):
        Average(Open(), 0.9)


# --- what a checkpoint holds ---


def restored(kept: dict[str, Any], averaged: dict[str, Tensor]) -> Average:
    model = network()
    model.load_state_dict(averaged)
    found = Average(model, 0.9)
    found.check_state(kept, State(step=100))
    found.load_state_dict(kept)
    return found


@pytest.mark.parametrize("until", range(5))
def test_put_back_at_any_step_it_goes_on_to_the_bit(until: int) -> None:
    model = network()
    whole = Average(model, 0.9)
    trained(whole, model, until)
    kept = copy.deepcopy((whole.state_dict(), whole.averaged.state_dict()))
    again = restored(*kept)
    assert running.same(again.model.state_dict(), model.state_dict())
    assert running.same(again.averaged.state_dict(), whole.averaged.state_dict())
    for average in (whole, again):
        trained(average, average.model, 4, first=until)
    assert running.same(again.averaged.state_dict(), whole.averaged.state_dict())
    assert running.same(again.model.state_dict(), whole.model.state_dict())


BAD: dict[str, Any] = {
    "nothing": None,
    "a list": [1],
    "no weights": {"updates": 3},
    "no count": {"trained": network().state_dict()},
    "a count that is none": {"trained": network().state_dict(), "updates": True},
    "more updates than steps": {"trained": network().state_dict(), "updates": 101},
    "another model": {"trained": nn.Linear(2, 2).state_dict(), "updates": 3},
    "not finite": {"trained": {**network().state_dict(), "0.bias": torch.full((8,), torch.nan)}, "updates": 3},
    "shared memory": {"trained": {**network().state_dict(), "0.bias": torch.zeros(1).expand(8)}, "updates": 3},
}


@pytest.mark.parametrize("kept", BAD.values(), ids=BAD)
def test_a_state_that_is_none_is_refused_before_anything_is_loaded(kept: Any) -> None:
    model = network()
    average, before = Average(model, 0.9), copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"it|trained"):
        average.check_state(kept, State(step=100))
    assert running.same(model.state_dict(), before)


def test_weights_that_are_not_finite_pass_where_that_is_to_be_ignored() -> None:
    Average(network(), 0.9, finite=False).check_state(BAD["not finite"], State(step=100))


# --- a training ---


def averaged_by_hand(run: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The `model` of last.pt, and the weights that are trained beside it."""
    last = running.checkpoint(run)
    return last["model"], last["average"]["trained"]


def test_the_average_is_what_is_evaluated_saved_and_tested(trainer: Trainer) -> None:
    run = running.train(trainer, *SMALL, "model=linear", "data.size=8")
    averaged, raw = averaged_by_hand(run)
    assert not running.same(averaged, raw)
    best, rows = running.checkpoint(run, "best"), running.rows(run)
    assert running.evaluate(trainer, f"ckpt={run}") == running.evaluate(trainer, f"ckpt={run}/checkpoints/best.pt")
    assert running.evaluate(trainer, f"ckpt={run}") == pytest.approx(running.reported(run))
    validated = running.evaluate(trainer, f"ckpt={run}/checkpoints/best.pt", "split=val")
    row = next(row for row in rows if row["step"] == best["best"]["step"])
    assert validated["val/loss"] == pytest.approx(row["val/loss"])
    last = running.evaluate(trainer, f"ckpt={run}/checkpoints/last.pt", "split=val")
    assert last["val/loss"] == pytest.approx(rows[-1]["val/loss"])


def test_it_does_not_change_how_the_weights_are_trained(trainer: Trainer) -> None:
    asked = [word for word in MLP if not word.startswith(("ema", "early"))]
    plain, averaged = (
        running.train(trainer, *asked, *more, "output=" + "ab"[bool(more)]) for more in ((), ("ema=0.9",))
    )
    assert running.same(running.weights(plain), averaged_by_hand(averaged)[1])
    assert "average" not in running.checkpoint(plain)
    losses_of = [[row["train/loss"] for row in running.rows(run)] for run in (plain, averaged)]
    assert losses_of[0] == losses_of[1]


def test_a_checkpoint_before_the_first_step_holds_the_weights_of_the_start(trainer: Trainer) -> None:
    with resuming.interrupting(lambda state: state.step == 1):
        assert trainer("train", *SMALL, "model=linear", "data.size=8", "output=parts").code == 130
    (run,) = Path("parts").glob("*/*")
    first = running.checkpoint(run, "previous")
    assert (first["step"], first["average"]["updates"]) == (0, 0)
    assert running.same(first["model"], first["average"]["trained"])


@pytest.mark.parametrize("asked", [CONVOLUTIONS, MLP], ids=["lenet", "mlp"])
def test_interrupted_after_every_single_step_it_ends_as_if_never_interrupted(
    trainer: Trainer, asked: tuple[str, ...]
) -> None:
    whole = running.train(trainer, *asked, "output=whole")
    run, codes = resuming.in_parts(trainer, asked, lambda state: True)
    assert codes[-1] == 0
    assert resuming.differences(whole, run) == []


def test_batch_normalisation_is_resumed_with_its_averaged_means(trainer: Trainer) -> None:
    Path("norm.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, features, outputs):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(features, 9), nn.BatchNorm1d(9), nn.Linear(9, outputs))\n"
    )
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/norm.yaml").write_text(
        "_target_: norm.Net\nfeatures: ${data.features}\noutputs: ${data.outputs}\n"
    )
    asked = (*SMALL, "model=norm", "data.size=8")
    whole = running.train(trainer, *asked, "output=whole")
    run, codes = resuming.in_parts(trainer, asked, lambda state: state.step in (1, 3, 7))
    assert codes == [130, 130, 0]
    assert resuming.differences(whole, run) == []
    averaged, raw = averaged_by_hand(run)
    assert not torch.equal(averaged["2.running_mean"], raw["2.running_mean"])
    assert torch.equal(averaged["2.num_batches_tracked"], raw["2.num_batches_tracked"])


def test_interrupted_within_an_evaluation_it_leaves_both_as_they_were(trainer: Trainer) -> None:
    whole = running.train(trainer, *CONVOLUTIONS, "output=whole")
    calls: list[int] = []

    def interrupt(module: nn.Module, inputs: Tensor) -> None:
        if type(module).__name__ == "LeNet" and not module.training and len(inputs) > 2:
            calls.append(1)
            if len(calls) % 3:
                os.kill(os.getpid(), signal.SIGTERM)

    with resuming.watching(interrupt):
        assert trainer("train", *CONVOLUTIONS, "output=parts").code == 143
        run = next(Path("parts").glob("*/*"))
        averaged, raw = averaged_by_hand(run)
        assert not running.same(averaged, raw)
        codes = resuming.go_on(trainer, run, 143)
    assert codes[-1] == 0
    assert resuming.differences(whole, run) == []


def test_a_new_run_starts_from_the_average(trainer: Trainer) -> None:
    run = running.train(trainer, *SMALL, "model=linear", "data.size=8", "data.val_fraction=0", "output=first")
    averaged, _ = averaged_by_hand(run)
    with resuming.interrupting(lambda state: state.step == 1):
        assert trainer("train", f"from={run}", *running.SILENT, "output=second").code == 130
    (new,) = Path("second").glob("*/*")
    assert running.same(running.checkpoint(new, "previous")["model"], averaged)


def test_a_resumed_run_keeps_its_decay(trainer: Trainer) -> None:
    run = running.train(trainer, *SMALL, "model=linear", "data.size=8")
    ran = trainer("resume", str(run), "epochs=4", "ema=0.5")
    assert ran.code == 2
    assert "ema=0.5" in ran.err


@pytest.mark.parametrize("keys", [("optim.lr=0.001,0.01",), ("seed=0,1", "epochs=2", "early_stopping.patience=1")])
def test_jobs_as_one_program_are_averaged_as_if_alone(trainer: Trainer, keys: tuple[str, ...]) -> None:
    both(trainer, "model=mlp", "optim=adam", *DIGITS, "data.size=8", "ema=0.9", *keys)


def test_jobs_of_which_one_leaves_early_are_averaged_as_if_alone(trainer: Trainer) -> None:
    args = ("model=mlp", "optim=adam", *DIGITS, "data.size=8", "ema=0.9", "epochs=8", "early_stopping.patience=1,3")
    both(trainer, *args, "optim.lr=0.3,0.0003")


# --- killed, and out of disk ---


@pytest.mark.parametrize("at", [2, 5, 9])
def test_killed_while_it_saves_it_ends_as_if_undisturbed(machine: Machine, at: int) -> None:
    asked = ("train", *MLP, "checkpoint.every_steps=1")
    assert machine.run(*asked, "output=whole").code == 0
    (whole,) = (machine.folder / "whole").glob("*/*")
    assert machine.run(*asked, "output=parts", traps=[Trap(("replace",), "kill", at, r"last\.pt$")]).code == -9
    (run,) = (machine.folder / "parts").glob("*/*")
    assert machine.run("resume", str(run)).code == 0
    assert resuming.differences(whole, run) == []


def test_on_a_disk_that_is_full_the_checkpoint_before_stays_and_holds_both(machine: Machine) -> None:
    asked = ("train", *MLP, "checkpoint.every_steps=1")
    trap = Trap(("fsync",), "fail", 5, r"last\.pt", every=True, errno=errno.ENOSPC)
    assert machine.run(*asked, "output=parts", traps=[trap]).code not in (0, -9)
    (run,) = (machine.folder / "parts").glob("*/*")
    found = checkpoint.read(run / "checkpoints" / "last.pt")
    assert not running.same(found.model, found.training["average"]["trained"])
    assert found.training["average"]["updates"] == found.training["step"]
    assert machine.run("resume", str(run)).code == 0
    assert machine.run(*asked, "output=whole").code == 0
    (whole,) = (machine.folder / "whole").glob("*/*")
    assert resuming.differences(whole, run) == []
