"""An optimizer as a part of a training that has state: what a checkpoint may hold of one, and loading it.

torch compares the numbers of groups and parameters and nothing else, and its fused kernels write wherever a state of
another shape or layout leads them. So each state is compared with what torch itself makes, and laid out as its
parameter is.
"""

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from trainer.checkpoint.values import are_equal, are_finite, is_dense, kind, tensors
from trainer.engine.optimizers import declared, lean
from trainer.engine.state import State
from trainer.system.shapes import is_number

# What says how an optimizer computes, not where it stands: that of this machine, not of the checkpoint's.
_HOW = ("fused", "foreach", "capturable", "differentiable")
_MOVED = ("lr", "momentum", "betas")  # by schedules; all else in a group of torch's optimizers stays as it is
_SMALL = (2, 3)  # the shape of a parameter that shows which states have the shape of their parameter


class OptimizerState:
    """The state of the optimizer `made`; `finite` says whether it has to be.

    Where the class of the optimizer is the user's, that is checked which torch's class below it keeps.
    """

    def __init__(self, made: Optimizer, finite: bool = True) -> None:
        self.made, self.finite = made, finite
        self._filled: list[int] = []  # parameters that had no state when that of the others was loaded

    def state_dict(self) -> dict[str, Any]:
        """torch's own."""
        found = self.made.state_dict()
        for number in self._filled:
            if not any(state.any() for state in found["state"][number].values()):
                del found["state"][number]
        return found

    def check_state(self, kept: Any, at: State) -> None:
        """Check what a checkpoint holds of an optimizer that has taken the steps of `at`.

        Raises:
            ValueError: it is of an optimizer of another kind, or of a model of another shape.
        """
        groups, states = (kept.get(name) if isinstance(kept, dict) else None for name in ("param_groups", "state"))
        own = self.made.state_dict()["param_groups"]
        if not isinstance(groups, list) or not isinstance(states, dict) or len(groups) != len(own):
            raise ValueError("its optimizer is of another kind")
        for group, mine in zip(groups, own, strict=True):
            self._check_group(group, mine)
        for tensor in tensors(kept):
            if not is_dense(tensor):
                raise ValueError(f"its optimizer has a state ({kind(tensor)}) whose values do not lie side by side")
        for number, found in states.items():
            if type(number) is int and 0 <= number < len(self._expected) and isinstance(found, dict):
                self._check_states(number, found, at.step if self._is_torchs else math.inf)
            elif self._is_torchs:
                raise ValueError("its optimizer has a state of a parameter that is not there")

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Load what `check_state` has let pass, but compute as this machine does."""
        groups = []
        for group, own in zip(kept["param_groups"], self.made.param_groups, strict=True):
            moved = {name: value for name, value in group.items() if not self._is_torchs or name in (*_MOVED, "params")}
            groups.append({**own, **moved, **{name: own[name] for name in _HOW if name in own}})
        states = kept["state"] | {
            number: found | {name: _laid_out(found[name], like) for name, like in expected.items() if name in found}
            for number, expected in enumerate(self._expected)
            if isinstance(found := kept["state"].get(number), dict)
        }
        # A step of fused SGD fails where one parameter has a momentum and another that gets a gradient has none.
        if states and type(self.made) is SGD:
            self._filled = [number for number in range(len(self._expected)) if number not in states]
            for number in self._filled:
                states[number] = {name: torch.zeros_like(like) for name, like in self._expected[number].items()}
        self.made.load_state_dict({"state": states, "param_groups": groups})

    @property
    def _is_torchs(self) -> bool:
        """Whether it is one that trainer declares, and no class of the user's, which may keep whatever it likes."""
        return declared(self.made) is not None

    @cached_property
    def _expected(self) -> list[dict[str, Tensor]]:
        """The states that torch's class keeps of each parameter, as examples of their types, shapes and layouts."""
        return [
            {name: _example(state, parameter) for name, state in first.items()}
            for group in self.made.param_groups
            for first in [_first_states(self.made, group)]
            for parameter in group["params"]
        ]

    def _check_group(self, group: Any, own: dict[str, Any]) -> None:
        if not isinstance(group, dict) or group.keys() - own.keys():
            raise ValueError("its optimizer is of another kind")
        if not are_equal(group.get("params"), own["params"]):
            raise ValueError("its optimizer is one of other parameters")
        for name in sorted(group.keys() - {*_HOW, "params"}):
            if not self._is_torchs:
                fits = own[name] is None or _sort(group[name]) is _sort(own[name])
            else:
                fits = _can_move_to(name, group[name]) if name in _MOVED else are_equal(group[name], own[name])
            if not fits:
                raise ValueError(f"its optimizer's {name} is not that of the config")

    def _check_states(self, number: int, found: dict[Any, Any], steps: float) -> None:
        expected = self._expected[number]
        if self._is_torchs and found.keys() != expected.keys():
            raise ValueError(f"its optimizer keeps other states of parameter {number} than one of this kind does")
        for name in found.keys() & expected.keys():
            reason = _misfit(name, found[name], expected[name], steps)
            if not reason and self.finite and not are_finite(found[name]):
                reason = "is not finite, which on_nan=ignore would let pass"
            if reason:
                raise ValueError(f"its optimizer's {name} of parameter {number} {reason}")


def _first_states(made: Optimizer, group: dict[str, Any]) -> dict[str, Tensor]:
    """What torch's class keeps of a small parameter after a step; nothing where the class is all the user's."""
    torchs: Any = next(cls for cls in type(made).__mro__ if cls.__module__.startswith("torch.optim."))
    if torchs is Optimizer:
        return {}
    small = torch.zeros(_SMALL, dtype=group["params"][0].dtype)
    small.grad = torch.zeros_like(small)
    try:
        scratch = torchs([{**group, **dict.fromkeys(_HOW, False), "params": [small], "lr": 1.0}])
        lean(scratch)()
    except Exception:
        if declared(made) is not None:
            raise
        return {}  # it may be one for other parameters than this
    return {name: state for name, state in scratch.state[small].items() if isinstance(state, Tensor)}


def _example(state: Tensor, parameter: Tensor) -> Tensor:
    """An example of what a state of the small parameter is for another one: that itself, or the state as it is."""
    return parameter if (state.shape, state.dtype) == (_SMALL, parameter.dtype) else state


def _misfit(name: str, found: Any, example: Tensor, steps: float) -> str:
    """Why a state cannot be one like the example, or ""."""
    if not isinstance(found, Tensor):
        return f"is no tensor, expected {kind(example)}"
    if (found.dtype, found.shape) != (example.dtype, example.shape):
        return f"is {kind(found)}, expected {kind(example)}"
    if name == "step" and not (float(found).is_integer() and 0 <= float(found) <= steps):
        return f"is none of the {steps:,} steps that were taken"
    return ""


def _laid_out(state: Tensor, example: Tensor) -> Tensor:
    """A copy of a state that lies in memory as its parameter does."""
    return torch.empty_like(example, requires_grad=False, device="cpu").copy_(state)


def _sort(value: Any) -> type:
    """The type of a value in a group, one for all numbers and one for all lists."""
    return float if type(value) in (int, float) else list if isinstance(value, tuple) else type(value)


def _can_move_to(name: str, value: Any) -> bool:
    if name == "betas":
        return isinstance(value, list | tuple) and len(value) == 2 and all(_can_move_to("momentum", v) for v in value)
    return is_number(value) and (name == "lr" or 0 <= value < 1)
