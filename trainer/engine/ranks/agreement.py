"""What all ranks have to do alike: stop after the same step, with the same clock, from the same random numbers."""

import hashlib
import json
import time
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.engine import rng
from trainer.engine.loop import Hook
from trainer.engine.ranks import Ranks
from trainer.engine.ranks.rounds import Rounds
from trainer.engine.state import Row, State
from trainer.system.signals import ENDING

LATE = 8  # steps that a GPU is at most given before it is waited for
FINE = 2**20  # parts of a second that the clock is told in: single precision holds their number


class Agreement(Hook):
    """Lets every rank know what one of them was told, after the same step.

    A signal sets `interrupted` of this object, where alone it would set that of the state. It is `said` to the others
    beside the gradients of the next step, or the next answers of an evaluation; then all have `heard` it, and the
    states of all say so. The clock is that of rank 0.

    As the last of a training's hooks it brings all ranks to where rank 0 is after each epoch and each evaluation, and
    after each step if `steps` says that rank 0 has hooks of the user's own which see those: they may stop the training,
    draw random numbers, and change the optimizer's rates or the weights. `pending` is how many steps may pass until
    what was said is read, which on a GPU would wait for the step.
    """

    def __init__(self, ranks: Ranks, state: State, optimizer: Optimizer, steps: bool = False, pending: int = 0) -> None:
        self.ranks, self.state, self.optimizer = ranks, state, optimizer
        self.steps, self.pending = steps, pending
        self.interrupted = 0  # the signal that this rank was sent
        self.begun = self.time = float(ranks.told(time.perf_counter()))  # rank 0's clock
        state.now = self.now
        self._unread: list[tuple[Tensor, Any]] = []

    def now(self) -> float:
        """The seconds of a clock that all ranks read alike."""
        return self.time

    def seconds(self) -> float:
        """Those since this object was made, on all ranks alike."""
        return self.time - self.begun

    def said(self) -> list[float]:
        """What this rank says: whether it was sent each of the signals, and rank 0's time. All hear the sums."""
        passed = time.perf_counter() - self.begun if self.ranks.first else 0.0
        return [*(float(self.interrupted == signum) for signum in ENDING), passed // 1, passed % 1 * FINE // 1]

    def heard(self, sums: Tensor) -> None:
        """Take in the sums of what was `said` by all at this step, or of an earlier one."""
        if self.pending:
            self._unread.append(_on_its_way(sums))
            if len(self._unread) <= self.pending:
                return
            sums, arrived = self._unread.pop(0)
            arrived.synchronize()
        self.hear(sums.tolist())

    def hear(self, sums: list[float]) -> None:
        """Take in the sums of what was `said` by all."""
        *sent, whole, fine = sums
        self.time = self.begun + whole + fine / FINE
        self._heed([signum for signum, times in zip(ENDING, sent, strict=True) if times])

    def on_start(self, state: State) -> None:
        self._follow(state)

    def on_step(self, state: State) -> None:
        if self.steps:
            self._follow(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self._follow(state)

    def on_epoch(self, state: State, row: Row) -> None:
        self._follow(state)

    def on_end(self, state: State) -> None:
        state.interrupted = state.interrupted or self.interrupted

    def rounds(self) -> Rounds:
        """In which the ranks evaluate, and say what they have to say meanwhile."""
        return Rounds(self.ranks, self.said, self.hear)

    def _heed(self, sent: list[int]) -> None:
        if sent:
            self.state.interrupted = self.state.interrupted or sent[0]

    def _follow(self, state: State) -> None:
        """Bring this rank to where rank 0 is, as far as it is elsewhere."""
        mine: list[Any] = [self.interrupted, state.stop, state.cut, *self._marks()]
        of_all = self.ranks.of_all(mine)
        self._heed([signum for signum, *_ in of_all if signum])
        state.stop, state.cut = of_all[0][1:3]
        drew, rated, moved = (any(other[place] != of_all[0][place] for other in of_all) for place in (3, 4, 5))
        if drew:
            rng.go_on_from(self.ranks.told(rng.plain()))
        if rated:
            for group, values in zip(self.optimizer.param_groups, self.ranks.told(self._rates()), strict=True):
                group.update(values)
        if moved:
            self.ranks.copy(self._weights())

    def _marks(self) -> list[str]:
        """What differs between ranks whose random generators, rates or weights do."""
        sums = torch.stack([weight.detach().sum(dtype=torch.float64) for weight in self._weights()]).tolist()
        plain = json.dumps(self._rates()), json.dumps(sums)
        return [rng.mark(), *(hashlib.blake2b(of.encode(), digest_size=8).hexdigest() for of in plain)]

    def _weights(self) -> list[Tensor]:
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def _rates(self) -> list[dict[str, Any]]:
        """The plain values of each group of parameters: learning rate, weight decay and so on."""
        groups = self.optimizer.param_groups
        return [{k: v for k, v in group.items() if isinstance(v, int | float | bool)} for group in groups]


def _on_its_way(sums: Tensor) -> tuple[Tensor, Any]:
    """A copy in main memory, and what to wait for before it is read."""
    copied, arrived = sums.to("cpu", copy=True, non_blocking=True), torch.Event(sums.device)
    arrived.record()
    return copied, arrived
