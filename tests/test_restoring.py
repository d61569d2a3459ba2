"""What a checkpoint holds of a training, put back: going on from there equals never having stopped."""

import copy
import functools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import unequal
from torch import Tensor, nn

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config.base import Config
from trainer.config.check import check
from trainer.config.composition import CONFIGS, register
from trainer.engine import loop, rng
from trainer.engine.loop import Hook
from trainer.engine.optimizer_state import OptimizerState
from trainer.engine.state import State
from trainer.run.parts import Parts, assemble
from trainer.run.restoring import Stateful, check_resumable, restore
from trainer.show.report import Report
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
    return assemble(copy.deepcopy(composed(*typed)), Report(quiet=True), found=found)


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
        ({"step": 8}, "its counters contradict each other"),
        ({"epoch": 2}, "its counters contradict each other"),
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


# What is done to the state of an optimizer, and what is then said of it.
WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "larger": (lambda t: torch.zeros(2 * t.shape[0], *t.shape[1:]), "is float32 of"),
    "smaller": (lambda t: t[:1].clone(), "is float32 of"),
    "flat": (lambda t: t.flatten(), "is float32 of"),
    "empty": (lambda t: t[:0], "is float32 of"),
    "one number": (lambda t: torch.tensor(1.0), "is a float32"),
    "int8": (lambda t: t.to(torch.int8), "is int8 of"),
    "float64": (lambda t: t.double(), "is float64 of"),
    "float16": (lambda t: t.half(), "is float16 of"),
    "complex": (lambda t: t.to(torch.complex64), "is complex64 of"),
    "stride 0": (lambda t: torch.zeros(1).expand(t.shape), "do not lie side by side"),
    "overlapping": (lambda t: torch.zeros(9999).as_strided(t.shape, (1, 1)), "do not lie side by side"),
    "with gaps": (lambda t: torch.zeros(*t.shape, 2)[..., 0], "do not lie side by side"),
    "nan": (lambda t: torch.full_like(t, torch.nan), "is not finite"),
    "infinite": (lambda t: torch.full_like(t, torch.inf), "is not finite"),
    "nothing": (lambda t: None, "is no tensor"),
    "a number": (lambda t: 1.0, "is no tensor"),
    "text": (lambda t: "zero", "is no tensor"),
    "a list": (lambda t: t.tolist(), "is no tensor"),
}


@pytest.mark.parametrize("optim", OPTIMS)
def test_a_state_that_no_step_leaves_is_refused_before_anything_is_loaded(tmp_path: Path, optim: str) -> None:
    """torch would load each of these, and fused kernels would write beyond the smaller ones."""
    found = saved(trained(make(*OPTIMS[optim]), 7), tmp_path / "last.pt")
    parts = make(*OPTIMS[optim], found=found)
    before, first = everything(parts), found.training["optimizer"]["state"][0]
    names = [name for name in first if name != "step"]
    assert names
    for name in names:
        for change, reason in WRONG.values():
            changed = copy.copy(found)
            states = found.training["optimizer"]["state"] | {0: first | {name: change(first[name])}}
            changed.training = found.training | {"optimizer": found.training["optimizer"] | {"state": states}}
            with pytest.raises(CheckpointError, match=reason):
                restore(changed, parts.state, stateful(parts), len(parts.samples))
    assert unequal(everything(parts), before) == []
    restore(found, parts.state, stateful(parts), len(parts.samples))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda kept: kept["state"][0].pop("exp_avg"), "keeps other states of parameter 0"),
        (lambda kept: kept["state"][0].update(more=torch.zeros(1)), "keeps other states of parameter 0"),
        (lambda kept: kept["state"].update({99: {}}), "a parameter that is not there"),
        (lambda kept: kept["state"].update({"0": {}}), "a parameter that is not there"),
        (lambda kept: kept["state"].update({0: None}), "a parameter that is not there"),
        (lambda kept: kept["state"][0].update(step=torch.tensor(8.0)), "is none of the 7 steps"),
        (lambda kept: kept["state"][0].update(step=torch.tensor(-1.0)), "is none of the 7 steps"),
        (lambda kept: kept["state"][0].update(step=torch.tensor(1.5)), "is none of the 7 steps"),
        (lambda kept: kept["state"][0].update(step=torch.tensor(torch.nan)), "is none of the 7 steps"),
        (lambda kept: kept["state"][0].update(step=torch.zeros(3)), "is float32 of 3"),
        (lambda kept: kept["param_groups"][0].update(lr=float("nan")), "lr is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(lr="0.1"), "lr is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(lr=torch.ones(1)), "lr is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(betas=(1.0, 0.9)), "betas is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(betas=(0.9,)), "betas is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(eps=None), "eps is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(amsgrad=True), "amsgrad is not that of the config"),
        (lambda kept: kept["param_groups"][0].update(params=[3, 2, 1, 0]), "is one of other parameters"),
        (lambda kept: kept["param_groups"][0].update(params=None), "is one of other parameters"),
        (lambda kept: kept["param_groups"].append({}), "is of another kind"),
        (lambda kept: kept.pop("state"), "is of another kind"),
    ],
)
def test_the_rest_of_an_optimizers_state_is_checked_too(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    found = saved(trained(make("optim=adam"), 7), tmp_path / "last.pt")
    change(found.training["optimizer"])
    with pytest.raises(CheckpointError, match=reason):
        gone_on(found, "optim=adam")


def test_a_state_in_another_layout_is_laid_out_as_its_parameter(tmp_path: Path) -> None:
    """A fused kernel takes the values in the order of memory."""
    typed = ("optim=adam", "model=lenet", "data.size=28")
    first = trained(make(*typed), 3)
    found = saved(first, tmp_path / "last.pt")
    for states in found.training["optimizer"]["state"].values():
        for name, values in states.items():
            states[name] = values.contiguous()
    second = gone_on(found, *typed)
    for parameter, states in second.optimizer.state.items():
        assert states["exp_avg"].stride() == parameter.stride()
    assert unequal(everything(second), everything(first)) == []


def test_states_that_share_their_memory_in_the_file_do_not_when_they_are_loaded(tmp_path: Path) -> None:
    found = saved(trained(make("optim=adam"), 3), tmp_path / "last.pt")
    states = found.training["optimizer"]["state"][0]
    states["exp_avg_sq"] = states["exp_avg"]
    parts = gone_on(found, "optim=adam")
    loaded = parts.optimizer.state[next(parts.model.parameters())]
    assert loaded["exp_avg"].data_ptr() != loaded["exp_avg_sq"].data_ptr() != states["exp_avg"].data_ptr()


def test_a_parameter_of_sgd_without_a_momentum_gets_one_with_its_first_gradient(tmp_path: Path) -> None:
    """The fused step would fail; one that never gets a gradient has none in the next checkpoint, either."""
    typed = ("optim=sgd", "optim.momentum=0.9")
    found = saved(trained(make(*typed), 3), tmp_path / "last.pt")
    del found.training["optimizer"]["state"][0]
    second = make(*typed, found=found)
    part = OptimizerState(second.optimizer)
    restore(found, second.state, {**stateful(second), "optimizer": part}, len(second.samples))
    assert unequal(part.state_dict(), found.training["optimizer"]) == []
    trained(second, 4)
    first = next(second.model.parameters())
    assert torch.equal(second.optimizer.state[first]["momentum_buffer"], first.grad)
    assert 0 in part.state_dict()["state"]


def test_a_constant_of_another_type_is_that_of_the_config(tmp_path: Path) -> None:
    found = saved(trained(make("optim=adam"), 3), tmp_path / "last.pt")
    found.training["optimizer"]["param_groups"][0]["maximize"] = 0.0
    assert gone_on(found, "optim=adam").optimizer.param_groups[0]["maximize"] is False


def test_losses_that_were_saved_as_a_parameter_are_values(tmp_path: Path) -> None:
    parts = trained(make(), 3)
    parts.state.losses = nn.Parameter(parts.state.losses)
    checkpoint.write(tmp_path / "last.pt", parts.model.state_dict(), DESCRIPTION, **taken(parts))
    assert not gone_on(checkpoint.read(tmp_path / "last.pt")).state.losses.requires_grad


def test_a_state_that_is_not_finite_is_let_pass_where_that_is_to_be_ignored(tmp_path: Path) -> None:
    found = saved(trained(make("optim=adam"), 3), tmp_path / "last.pt")
    found.training["optimizer"]["state"][0]["exp_avg"].fill_(torch.inf)
    parts = make("optim=adam", found=found)
    part = OptimizerState(parts.optimizer, finite=False)
    restore(found, parts.state, {"optimizer": part}, len(parts.samples))
    assert parts.optimizer.state_dict()["state"][0]["exp_avg"].isinf().all()


class Slow(torch.optim.Adam):
    """A user's own, with a state that torch's class does not have."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, fused=True)
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["mine"] = {"any": torch.zeros(2, dtype=torch.int8)}


def test_of_a_users_optimizer_what_the_class_below_it_keeps_is_checked() -> None:
    parameter = nn.Parameter(torch.ones(3, 2))
    own = OptimizerState(Slow([parameter]))
    states = {"step": torch.tensor(1.0), "exp_avg": torch.ones(3, 2), "exp_avg_sq": torch.ones(3, 2)}
    kept = own.state_dict() | {"state": {0: states | {"mine": {"any": torch.zeros(5)}}, "all": {"of": "them"}}}
    own.check_state(kept, State(step=1))
    own.load_state_dict(kept)
    assert torch.equal(own.made.state[parameter]["exp_avg"], states["exp_avg"])
    kept["state"][0]["exp_avg"] = torch.ones(1)
    with pytest.raises(ValueError, match="exp_avg of parameter 0 is float32 of 1, expected float32 of 3x2"):
        own.check_state(kept, State(step=1))


RANDOM: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no cpu": lambda kept: kept.pop("cpu"),
    "a short cpu": lambda kept: kept.update(cpu=kept["cpu"][:-1]),
    "a cpu of one byte": lambda kept: kept.update(cpu=kept["cpu"][:1].expand(kept["cpu"].shape)),
    "a cpu of floats": lambda kept: kept.update(cpu=kept["cpu"].float()),
    "a cpu with gaps": lambda kept: kept.update(cpu=torch.stack([kept["cpu"], kept["cpu"]], 1)[:, 0]),
    "a cpu that stands nowhere": lambda kept: kept.update(cpu=torch.full_like(kept["cpu"], 255)),
    "a python of another version": lambda kept: kept["python"].__setitem__(0, 4),
    "a short python": lambda kept: kept["python"].__setitem__(1, kept["python"][1][:-1]),
    "a python of floats": lambda kept: kept["python"].__setitem__(1, kept["python"][1].double()),
    "a python that stands nowhere": lambda kept: kept["python"][1].__setitem__(624, 625),
    "a python of text": lambda kept: kept["python"].__setitem__(2, "gauss"),
    "a numpy of another kind": lambda kept: kept["numpy"].__setitem__(0, "PCG64"),
    "a short numpy": lambda kept: kept["numpy"].__setitem__(1, kept["numpy"][1][:-1]),
    "a numpy that stands beyond": lambda kept: kept["numpy"].__setitem__(2, 625),
    "a numpy that stands before": lambda kept: kept["numpy"].__setitem__(2, -1),
    "a numpy of large numbers": lambda kept: kept["numpy"][1].__setitem__(0, 2**32),
    "a numpy that is not finite": lambda kept: kept["numpy"].__setitem__(4, float("nan")),
    "a numpy too long": lambda kept: kept["numpy"].append(0),
    "no list": lambda kept: kept.update(python=None),
    "something more": lambda kept: kept.update(xpu=None),
}


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_state_that_is_none_is_refused_before_a_generator_is_set(name: str) -> None:
    kept = rng.Generators().state_dict()
    before = copy.deepcopy(kept)
    RANDOM[name](kept)
    for generators in (rng.Generators(), rng.Own()):
        with pytest.raises(ValueError, match="random states"):
            generators.check_state(kept, State())
    assert unequal(rng.Generators().state_dict(), before) == []
    rng.Generators().check_state(before, State())


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
