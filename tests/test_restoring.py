"""What a checkpoint holds of a training, put back: going on from there equals never having stopped."""

import copy
import functools
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import unequal

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config.base import Config
from trainer.config.check import check
from trainer.config.composition import CONFIGS, register
from trainer.engine import loop, rng
from trainer.engine.loop import Hook
from trainer.engine.optimizers import OptimizerState
from trainer.engine.state import State
from trainer.run.parts import Parts, assemble
from trainer.run.restoring import Stateful, check_resumable, restore
from trainer.system.errors import CheckpointError

DESCRIPTION = {"model": {"name": "mlp"}}


@functools.cache
def composed(*typed: str) -> Config:
    """As `trainer train TYPED...` composes it."""
    from hydra import compose, initialize_config_dir

    register()
    small = ["data.limit=96", "data.batch_size=20", "epochs=3", "data.size=8", "model=mlp", "data=digits"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return check("train", compose("train", [*small, *typed]), list(typed), {})


OPTIMS = {
    "sgd": ("optim=sgd", "optim.momentum=0.9", "scheduler=onecycle"),
    "adam": ("optim=adam", "optim.amsgrad=true", "scheduler=cosine", "scheduler.warmup_steps=3"),
    "adamw": ("optim=adamw", "scheduler=plateau", "scheduler.patience=0"),
    "adagrad": ("optim=adagrad", "optim.lr_decay=0.01", "scheduler=exponential"),
    "rmsprop": ("optim=rmsprop", "optim.centered=true", "optim.momentum=0.5", "scheduler=step"),
}


def make(*typed: str, found: Checkpoint | None = None) -> Parts:
    return assemble(copy.deepcopy(composed(*typed)), lambda items, total, doing: items, found=found)


def stateful(parts: Parts) -> dict[str, Stateful]:
    return {"optimizer": OptimizerState(parts.optimizer), "scheduler": parts.schedule, "rng": parts.generators}


def taken(parts: Parts) -> dict[str, Any]:
    """What a checkpoint holds beside the model."""
    return {**{name: part.state_dict() for name, part in stateful(parts).items()}, **parts.state.state_dict()}


def gone_on(found: Checkpoint, *typed: str) -> Parts:
    """The parts that `trainer resume` trains on with."""
    parts = make(*typed, found=found)
    restore(found, parts.state, stateful(parts), len(parts.samples))
    return parts


def trained(parts: Parts, until: int) -> Parts:
    """Train up to a step and stop there, as a signal does."""

    class Stop(Hook):
        def on_step(self, state: State) -> None:
            if state.step == until:
                state.interrupted = signal.SIGINT

    hooks = [parts.schedule, Stop()]
    loop.fit(parts.step, parts.batches, parts.plan, parts.evaluate, hooks, parts.state)
    return parts


def saved(parts: Parts, path: Path) -> Checkpoint:
    checkpoint.write(path, parts.model.state_dict(), DESCRIPTION, **taken(parts))
    return checkpoint.read(path)


def everything(parts: Parts) -> dict[str, Any]:
    return copy.deepcopy({"model": parts.model.state_dict(), "taken": taken(parts)})


@pytest.mark.parametrize("until", [1, 5, 7])
@pytest.mark.parametrize("optim", OPTIMS)
def test_what_is_put_back_is_what_was_taken_and_trains_on_alike(tmp_path: Path, optim: str, until: int) -> None:
    first = trained(make(*OPTIMS[optim]), until)
    found, left = saved(first, tmp_path / "last.pt"), everything(first)
    second = gone_on(found, *OPTIMS[optim])
    assert unequal(everything(second), left) == []
    for parts in (second, first):
        rng.Generators().load_state_dict(found.training["rng"])
        parts.state.interrupted = 0
    assert unequal(everything(trained(second, 12)), everything(trained(first, 12))) == []


def test_only_the_losses_of_the_epoch_that_runs_are_taken() -> None:
    parts = trained(make(), 7)
    assert (parts.state.epoch, parts.state.batch, len(parts.state.losses)) == (1, 2, 5)
    assert len(taken(parts)["losses"]) == 2


def test_how_an_optimizer_computes_is_this_machines_affair(tmp_path: Path) -> None:
    """A checkpoint of a GPU may say `capturable`, and one of another torch may not be fused."""
    found = saved(trained(make("optim=adam"), 3), tmp_path / "last.pt")
    (group,) = found.training["optimizer"]["param_groups"]
    own = {name: group[name] for name in ("fused", "foreach", "capturable", "differentiable")}
    group |= {"fused": None, "foreach": True, "capturable": True, "differentiable": True}
    parts = gone_on(found, "optim=adam")
    assert {name: parts.optimizer.param_groups[0][name] for name in own} == own


def test_a_key_that_an_older_optimizer_lacks_has_its_default(tmp_path: Path) -> None:
    found = saved(trained(make("optim=adam"), 3), tmp_path / "last.pt")
    del found.training["optimizer"]["param_groups"][0]["decoupled_weight_decay"]
    parts = gone_on(found, "optim=adam")
    assert parts.optimizer.param_groups[0]["decoupled_weight_decay"] is False


# --- what cannot be gone on from ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epoch": None}, ""),
        ({"batch": 4}, "its counters contradict each other"),
        ({"reported": 3}, "its counters contradict each other"),
        ({"reported": -1}, "its counters contradict each other"),
        ({"losses": torch.ones(99), "batch": 99}, "its counters contradict each other"),
        ({"losses": "many"}, ""),
        ({"rng": {}}, ""),
        ({"rng": {"cpu": torch.zeros(3)}}, ""),
        ({"optimizer": None}, ""),
        ({"optimizer": {"state": {}, "param_groups": []}}, ""),
        ({"optimizer": {"state": {}, "param_groups": [{"lr": 1.0, "momentum": 0.9, "params": [0]}]}}, ""),
        ({"scheduler": None}, ""),
        ({"scheduler": {"per_step": [{"gamma": 1}], "per_epoch": []}}, ""),
        ({"scheduler": {"per_step": [], "per_epoch": [{"gamma": 1}]}}, "a learning-rate schedule of another kind"),
    ],
    ids=str,
)
def test_a_checkpoint_whose_parts_are_not_what_they_should_be_is_refused(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    typed = ("optim=adam", "scheduler=exponential")
    found = saved(trained(make(*typed), 7), tmp_path / "last.pt")
    found.training |= change
    with pytest.raises(CheckpointError, match=rf"last\.pt cannot be resumed from: .*{reason}") as caught:
        gone_on(found, *typed)
    assert "\n" not in caught.value.message


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    found = saved(trained(make(), 3), tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="does not fit the model"):
        gone_on(found, "model.hidden=7")


def test_a_file_of_weights_only_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    checkpoint.write(path, make().model.state_dict(), DESCRIPTION, epoch=1, batch=0, step=5)
    with pytest.raises(CheckpointError, match="holds weights only, and no training to resume") as caught:
        check_resumable(checkpoint.read(path))
    assert caught.value.hint == f"start a new run from its weights: trainer train from={path}"
