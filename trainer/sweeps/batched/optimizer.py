"""torch's own optimizers over stacked parameters, with a learning rate for each job.

Each of them moves a parameter by an amount that is linear in the learning rate. So one optimizer steps with the rate 1,
and what it moved is then scaled, job by job. Jobs that differ in anything else (momentum, weight decay, ...) are
parameter groups of it, over parts of what is stacked.

Scaling goes through the memory several times more. For models beyond a CPU's nearest caches that takes longer than a
parameter group for each job does: they have their learning rates in their groups.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.engine.optimizers import lean

LARGE = 10_000  # parameters of a model, from which on each job is a group of its own on a CPU
_OF_A_JOB = ("params", "lr", "initial_lr", "max_lr", "min_lr")  # all but the first two are a schedule's notes


def alike(optimizer: Optimizer) -> str:
    """Everything but the learning rate: jobs can be in one parameter group where this is equal."""
    return repr(sorted(_common(optimizer).items()))


def _common(optimizer: Optimizer) -> dict[str, Any]:
    return {key: value for key, value in optimizer.param_groups[0].items() if key not in _OF_A_JOB}


class StackedOptimizer:
    """Steps for `own`, the optimizers of the jobs, whose parameters are views of `parameters` (jobs, ...).

    The states of `own` become views, too. Each step takes their learning rates, and with `follow` also the other
    hyperparameters, which schedules then move. `kinds` has a name for each job: neighbours with the same name are alike
    until the end, and are one parameter group. Where all rates are the same, nothing has to be scaled; with `steady` it
    is all the same, so that no job is rounded by the rates of the others.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        own: Sequence[Optimizer],
        kinds: Sequence[str],
        follow: bool,
        steady: bool = False,
    ) -> None:
        self.parameters, self.own, self.follow = list(parameters), list(own), follow
        size = sum(values[0].numel() for values in self.parameters)
        self.scales = size < LARGE or self.parameters[0].device.type != "cpu"
        kind = kinds.__getitem__ if self.scales else int
        self.groups = [list(jobs) for _, jobs in groupby(range(len(own)), kind)]
        self.parts = [[values.detach()[jobs[0] : jobs[-1] + 1] for values in self.parameters] for jobs in self.groups]
        heads = [own[jobs[0]] for jobs in self.groups]
        make: Any = type(own[0])
        self.optimizer: Optimizer = make(
            [{**_common(head), "params": part, "lr": 1.0} for head, part in zip(heads, self.parts, strict=True)]
        )
        self._step = lean(self.optimizer)
        self._filled: list[float] = []
        self._at_one_rate = False
        # A CUDA graph repeats one of both ways.
        self._may_step_plainly = self.scales and not steady and self.parameters[0].device.type == "cpu"
        self._rates = torch.ones(len(own), dtype=self.parameters[0].dtype, device=self.parameters[0].device)
        self._scales = [self._rates.view(-1, *(1 for _ in values.shape[1:])) for values in self.parameters]
        self._take_states()
        self._linked = 0  # the number of parameters with linked states: some get a state with their first gradient
        self._link_states()
        self.refill()

    def refill(self) -> None:
        """Take over what schedules have changed. A CUDA graph does not repeat this."""
        rates = [optimizer.param_groups[0]["lr"] for optimizer in self.own]
        if rates != self._filled:
            self._filled = rates
            self._at_one_rate = self._may_step_plainly and len(set(rates)) == 1
            if self.scales:
                for group in self.optimizer.param_groups:
                    group["lr"] = rates[0] if self._at_one_rate else 1.0
            self._rates.copy_(torch.tensor(rates, dtype=self._rates.dtype))
            if not self.scales:
                for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate
        if self.follow:
            for group, jobs in zip(self.optimizer.param_groups, self.groups, strict=True):
                group.update(_common(self.own[jobs[0]]))

    @torch.no_grad()
    def update(self) -> None:
        """Move the parameters along their gradients, each job as far as its learning rate says."""
        for part, jobs in zip(self.parts, self.groups, strict=True):
            for values, whole in zip(part, self.parameters, strict=True):
                gradient = whole.grad
                if gradient is not None and len(self.groups) > 1:
                    gradient = gradient[jobs[0] : jobs[-1] + 1]
                values.grad = gradient
        if self.scales and not self._at_one_rate:
            before = [values.clone() for values in self.parameters]
            self._step()
            for values, old, scale in zip(self.parameters, before, self._scales, strict=True):
                torch.lerp(old, values, scale, out=values.detach())
        else:
            self._step()
        self._link_states()

    def _states(self) -> Iterator[tuple[Tensor, list[tuple[dict[Tensor, Any], Tensor]]]]:
        """Each part of a stacked parameter, with the states and the parameter of each of its jobs' optimizers."""
        for part, jobs in zip(self.parts, self.groups, strict=True):
            for number, values in enumerate(part):
                yield values, [(self.own[job].state, self.own[job].param_groups[0]["params"][number]) for job in jobs]

    def _take_states(self) -> None:
        """Begin where the jobs' optimizers stand: some have no state yet, or never one, like SGD without momentum."""
        for values, own in self._states():
            found: list[Any] = [states[parameter] for states, parameter in own if states.get(parameter)]
            if found:
                self.optimizer.state[values] = {
                    key: torch.stack([state[key] for state in found]) if _per_value(key, value) else deepcopy(value)
                    for key, value in found[0].items()
                }

    def _link_states(self) -> None:
        """Make the states of the jobs' optimizers views of the stacked ones."""
        if len(self.optimizer.state) == self._linked:
            return
        self._linked = len(self.optimizer.state)
        for values, own in self._states():
            stacked = self.optimizer.state.get(values, {})
            for place, (states, parameter) in enumerate(own if stacked else ()):
                states[parameter] = {
                    key: state[place] if _per_value(key, state) else state for key, state in stacked.items()
                }


def _per_value(key: str, state: Any) -> bool:
    """Whether a state has the shape of the parameter, and is not the count of steps, which jobs share."""
    return isinstance(state, Tensor) and key != "step"
