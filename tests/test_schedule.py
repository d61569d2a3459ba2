"""Learning rates, step by step, against formulas and torch's schedulers stepped by hand."""

import math
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pretending
import pytest
import torch
from conftest import Trainer
from running import QUICK
from torch import nn
from torch.optim import SGD, Adam, Optimizer, RMSprop, lr_scheduler

from trainer.config import registry
from trainer.config.scheduler import Constant, Cosine, Exponential, OneCycle, Plateau, StepDecay
from trainer.engine.schedule import Schedule
from trainer.engine.state import State

EPOCHS, STEPS = 6, 5
TOTAL = EPOCHS * STEPS
LR = 0.4


def sgd(momentum: float = 0.9) -> Optimizer:
    return SGD([nn.Parameter(torch.zeros(1))], lr=LR, momentum=momentum)


def run(
    config: Any, optimizer: Optimizer, watched: Sequence[float | None] = (), key: str = "lr", epochs: int = EPOCHS
) -> list[Any]:
    """The values of `key` that the steps use. `watched` are the metrics after each epoch, None where there is none."""
    schedule = Schedule(config, optimizer, epochs * STEPS, "val/loss", "min")
    state, seen = State(), []
    for epoch in range(epochs):
        for _ in range(STEPS):
            seen.append(optimizer.param_groups[0][key])
            optimizer.step()
            state.step += 1
            schedule.on_step(state)
        value = watched[epoch] if watched else None
        state.epoch += 1
        schedule.on_epoch(state, {} if value is None else {"val/loss": value})
    return seen


def by_hand(scheduler: Any, key: str = "lr") -> list[Any]:
    """As a tutorial steps a per-step scheduler of torch's."""
    seen = []
    for step in range(TOTAL):
        seen.append(scheduler.optimizer.param_groups[0][key])
        scheduler.optimizer.step()
        if step < TOTAL - 1:
            scheduler.step()
    return seen


def warm(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / (warmup + 1))


@pytest.mark.parametrize("warmup", [0, 1, 4, 13])
@pytest.mark.parametrize(
    ("config", "factor"),
    [
        (Constant(), lambda epoch: 1.0),
        (StepDecay(step_size=2, gamma=0.5), lambda epoch: 0.5 ** (epoch // 2)),
        (StepDecay(step_size=1, gamma=0.1), lambda epoch: 0.1**epoch),
        (Exponential(gamma=0.8), lambda epoch: 0.8**epoch),
    ],
    ids=["constant", "step2", "step1", "exponential"],
)
def test_schedules_per_epoch_multiply_with_the_warmup(config: Any, factor: Any, warmup: int) -> None:
    config.warmup_steps = warmup
    expected = [LR * factor(step // STEPS) * warm(step, warmup) for step in range(TOTAL)]
    assert run(config, sgd()) == pytest.approx(expected)


@pytest.mark.parametrize("warmup", [0, 1, 4, 13])
def test_cosine_begins_where_the_warmup_ends(warmup: int) -> None:
    length, low = TOTAL - warmup, 0.01

    def cosine(step: int) -> float:
        return low + (LR - low) * (1 + math.cos(math.pi * step / length)) / 2

    expected = [LR * warm(s, warmup) if s < warmup else cosine(s - warmup) for s in range(TOTAL)]
    assert run(Cosine(min_lr=low, warmup_steps=warmup), sgd()) == pytest.approx(expected)


def test_cosine_is_torchs() -> None:
    assert run(Cosine(), sgd()) == by_hand(lr_scheduler.CosineAnnealingLR(sgd(), TOTAL))


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_onecycle_is_torchs(anneal: Any) -> None:
    config = OneCycle(pct_start=0.2, div_factor=10, final_div_factor=100, anneal=anneal)
    torchs = lr_scheduler.OneCycleLR(
        sgd(), LR, TOTAL, pct_start=0.2, anneal_strategy=anneal, div_factor=10, final_div_factor=100
    )
    found = run(config, sgd())
    assert found == by_hand(torchs)
    assert max(found) == pytest.approx(LR)
    assert found[0] == pytest.approx(LR / 10)
    assert found[-1] == pytest.approx(LR / 1000)


@pytest.mark.parametrize(
    ("optimizer", "key"), [(sgd, "momentum"), (lambda: Adam([nn.Parameter(torch.zeros(1))], LR), "betas")]
)
def test_onecycle_moves_the_momentum_the_other_way(optimizer: Any, key: str) -> None:
    found = run(OneCycle(), optimizer(), key=key)
    assert found == by_hand(lr_scheduler.OneCycleLR(optimizer(), LR, TOTAL), key)
    assert len(set(found)) > 10


@pytest.mark.parametrize(
    "optimizer", [sgd(momentum=0), RMSprop([nn.Parameter(torch.zeros(1))], LR)], ids=["sgd", "rmsprop"]
)
def test_onecycle_leaves_an_optimizer_without_momentum_without(optimizer: Optimizer) -> None:
    assert set(run(OneCycle(), optimizer, key="momentum")) == {0}


def test_onecycle_keeps_the_momentum_if_told_so() -> None:
    assert set(run(OneCycle(cycle_momentum=False), sgd(), key="momentum")) == {0.9}


def test_plateau_is_torchs_and_epochs_without_evaluation_do_not_count() -> None:
    watched = [3.0, None, 2.0, 2.0, None, 2.5, 2.0, 2.0, 1.0, 1.5, 1.5, 1.5]
    optimizer = sgd()
    torchs = lr_scheduler.ReduceLROnPlateau(optimizer, "min", 0.5, 1, min_lr=0.06)
    expected = []
    for value in watched:
        expected += [optimizer.param_groups[0]["lr"]] * STEPS
        if value is not None:
            torchs.step(value)
    config = Plateau(factor=0.5, patience=1, min_lr=0.06)
    assert run(config, sgd(), watched, epochs=len(watched)) == expected
    assert len(set(expected)) == 4


def test_plateau_multiplies_with_the_warmup() -> None:
    config = Plateau(factor=0.5, patience=0, warmup_steps=3)
    expected = [LR * warm(step, 3) * 0.5 ** max(0, step // STEPS - 1) for step in range(TOTAL)]
    assert run(config, sgd(), [1.0] * EPOCHS) == pytest.approx(expected)


@pytest.mark.parametrize("name", registry.names("scheduler"))
def test_each_group_of_parameters_keeps_its_own_rate(name: str) -> None:
    first, second = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = SGD([{"params": [first], "lr": LR}, {"params": [second], "lr": LR / 8}], momentum=0.9)
    schedule = Schedule(registry.section("scheduler", name)(), optimizer, TOTAL, "val/loss", "min")
    for step in count(1):
        one, other = (group["lr"] for group in optimizer.param_groups)
        assert one == pytest.approx(8 * other)
        if step == TOTAL:
            break
        optimizer.step()
        schedule.on_step(State(step=step))


@pytest.mark.parametrize("name", registry.names("scheduler"))
def test_the_state_is_of_plain_values(name: str, tmp_path: Path) -> None:
    """What a checkpoint takes: `weights_only` refuses anything else."""
    config = registry.section("scheduler", name)()
    config.warmup_steps = 0 if name == "onecycle" else 2
    schedule = Schedule(config, sgd(), TOTAL, "val/loss", "min")
    torch.save(schedule.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == schedule.state_dict()


# --- going on -----------------------------------------------------------------------------------------

CONFIGS: dict[str, Any] = {
    "constant": Constant(),
    "constant, warm": Constant(warmup_steps=7),
    "step": StepDecay(step_size=2, gamma=0.5),
    "step, warm": StepDecay(step_size=2, gamma=0.5, warmup_steps=7),
    "exponential": Exponential(gamma=0.8),
    "exponential, warm": Exponential(gamma=0.8, warmup_steps=13),
    "cosine": Cosine(min_lr=0.01),
    "cosine, warm": Cosine(warmup_steps=7),
    "onecycle": OneCycle(),
    "onecycle, linear": OneCycle(anneal="linear", cycle_momentum=False),
    "plateau": Plateau(factor=0.5, patience=0),
    "plateau, warm": Plateau(factor=0.5, patience=1, warmup_steps=7),
}
WATCHED = [3.0, 3.5, 2.0, 2.5, 2.5, 1.0]


class Run:
    """An optimizer and its schedule, one step at a time; as a checkpoint has them, and made of one."""

    def __init__(self, config: Any, kept: dict[str, Any] | None = None, length: int = TOTAL) -> None:
        self.optimizer = sgd()
        self.schedule = Schedule(config, self.optimizer, length, "val/loss", "min")
        self.state = State()
        if kept is not None:
            self.optimizer.load_state_dict(kept["optimizer"])
            self.schedule.load_state_dict(kept["schedule"])
            self.state = State(**kept["state"])

    def step(self) -> tuple[float, float]:
        """The learning rate and the momentum that the step uses."""
        group = self.optimizer.param_groups[0]
        used = group["lr"], group["momentum"]
        self.optimizer.step()
        self.state.step += 1
        self.schedule.on_step(self.state)
        if self.state.step % STEPS == 0:
            self.state.epoch += 1
            self.schedule.on_epoch(self.state, {"val/loss": WATCHED[self.state.epoch - 1]})
        return used

    def kept(self, path: Path) -> dict[str, Any]:
        content = {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        torch.save({**content, "state": {"epoch": self.state.epoch, "step": self.state.step}}, path)
        return torch.load(path, weights_only=True)


@pytest.mark.parametrize("name", CONFIGS)
def test_interrupted_after_every_step_it_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole, parts = Run(CONFIGS[name]), Run(CONFIGS[name])
    for step in range(TOTAL):
        assert parts.step() == whole.step(), step
        parts = Run(CONFIGS[name], parts.kept(tmp_path / "x.pt"))
        assert parts.schedule.state_dict() == whole.schedule.state_dict()


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith(("cosine", "onecycle"))])
def test_a_finished_one_goes_on_as_a_longer_one(name: str, tmp_path: Path) -> None:
    short, whole = Run(CONFIGS[name], length=4 * STEPS), Run(CONFIGS[name])
    found = [short.step() for _ in range(4 * STEPS)]
    longer = Run(CONFIGS[name], short.kept(tmp_path / "x.pt"))
    found += [longer.step() for _ in range(2 * STEPS)]
    assert found == [whole.step() for _ in range(TOTAL)]


def test_what_is_loaded_leaves_the_optimizers_rates_alone() -> None:
    run = Run(CONFIGS["exponential"])
    for _ in range(2 * STEPS):
        run.step()
    fresh = Run(CONFIGS["exponential"])
    fresh.schedule.load_state_dict(run.schedule.state_dict())
    assert fresh.optimizer.param_groups[0]["lr"] == LR


def test_a_schedule_of_another_kind_is_refused() -> None:
    kept = {name: Run(config).schedule.state_dict() for name, config in CONFIGS.items()}
    refused = set()
    for one in ("constant", "step", "cosine", "cosine, warm", "onecycle", "plateau"):
        for other, state in kept.items():
            try:
                Run(CONFIGS[one]).schedule.check_state(state, State(step=TOTAL))
            except ValueError:
                refused.add((one, other))
            else:
                assert one.split(",")[0] == other.split(",")[0], (one, other)
    assert ("plateau", "plateau, warm") in refused


@pytest.mark.parametrize("name", CONFIGS)
def test_the_state_of_the_same_schedule_at_any_step_is_let_pass(name: str) -> None:
    run = Run(CONFIGS[name])
    for step in range(TOTAL):
        Run(CONFIGS[name]).schedule.check_state(run.schedule.state_dict(), State(step=step))
        run.step()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("step", "step_size", 0),
        ("step", "gamma", 0.7),
        ("exponential", "base_lrs", [1.0, 2.0]),
        ("exponential", "last_epoch", 10**6),
        ("exponential", "last_epoch", -1),
        ("exponential", "last_epoch", 1.0),
        ("exponential", "_step_count", True),
        ("exponential", "_last_lr", [float("nan")]),
        ("exponential", "_last_lr", torch.ones(1)),
        ("exponential", "_is_initial", 1),
        ("plateau", "best", float("nan")),
        ("plateau", "best", "low"),
        ("plateau", "mode", "both"),
        ("plateau", "num_bad_epochs", None),
        ("plateau", "min_lrs", torch.zeros(1)),
    ],
)
def test_a_state_with_a_value_that_no_schedule_comes_to_is_refused(name: str, key: str, value: object) -> None:
    run = Run(CONFIGS[name])
    kept = run.schedule.state_dict()
    (state,) = kept["per_epoch"]
    state[key] = value
    with pytest.raises(ValueError, match=f"its learning-rate schedule's {key} is not"):
        run.schedule.check_state(kept, State(step=TOTAL))


def test_a_checkpoint_within_a_run_has_the_schedule_of_its_epoch(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[int, tuple[float, float]] = {}

    def keep(path: Path) -> None:
        if path.name == "last.pt":
            content = torch.load(path, weights_only=True)
            (scheduler,) = content["scheduler"]["per_epoch"]
            kept[content["epoch"]] = content["optimizer"]["param_groups"][0]["lr"], scheduler["last_epoch"]

    pretending.watching(monkeypatch, keep)
    quick = (*QUICK, "epochs=3", "checkpoint.every_epochs=1", "optim.lr=0.1")
    assert trainer("train", "scheduler=exponential", "scheduler.gamma=0.5", *quick).code == 0
    assert kept == {epoch: (pytest.approx(0.1 / 2**epoch), epoch) for epoch in range(4)}
