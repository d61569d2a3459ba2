"""An exponential moving average of a model's weights, which is evaluated and saved in their place."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from trainer import checkpoint
from trainer.checkpoint.values import are_finite
from trainer.checkpoint.weights import is_state
from trainer.engine.loop import Hook
from trainer.engine.state import State
from trainer.models.library import BATCH_NORMS
from trainer.system.errors import CheckpointError, ConfigError, first_line
from trainer.system.shapes import is_count


class Average(Hook):
    """Keeps `averaged`, a second model: its weights are the average of those that `model` had after each step.

    Nothing is ever swapped: the one is trained, and the other evaluated. After t updates the next one has the weight
    1 - min(decay, (1 + t) / (10 + t)), so that the average does not cling to the weights of the start. Averaged are the
    parameters that are trained, and the running means and variances of batch normalisation, which fit them; all other
    buffers are copied. With `skips`, a step whose loss is not finite is known not to have been taken.

    As a part with state it holds the weights that are trained, for a checkpoint's `model` is the average; `finite` says
    whether they have to be.

    Raises:
        ConfigError: The model cannot be copied.
    """

    def __init__(self, model: nn.Module, decay: float, skips: bool = False, finite: bool = True) -> None:
        try:
            self.averaged = copy.deepcopy(model)
        except Exception as error:  # whatever a class of the user's holds
            raise ConfigError(f"ema: this model cannot be copied: {first_line(error)}", "leave ema out") from error
        self.model, self.decay, self.skips, self.finite = model, decay, skips, finite
        self.updates = 0
        pairs = zip(model.parameters(), self.averaged.parameters(), strict=True)
        trained = [(own, averaged) for own, averaged in pairs if own.requires_grad]
        self._parameters, self._averaged = [list(each) for each in zip(*trained, strict=True)]
        self._buffers = [
            (own, averaged, name, isinstance(own, BATCH_NORMS) and name in ("running_mean", "running_var"))
            for own, averaged in zip(model.modules(), self.averaged.modules(), strict=True)
            for name, _ in own.named_buffers(recurse=False)
        ]
        self.averaged.requires_grad_(False)

    def on_step(self, state: State) -> None:
        if not self.skips or bool(state.loss.isfinite()):
            self.update()

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights that the model has now."""
        averaged, current = [*self._averaged], [*self._parameters]
        for own, other, name, is_mean in self._buffers:  # looked up, for a model may put others in their place
            into, values = getattr(other, name), getattr(own, name)
            if is_mean:
                averaged.append(into)
                current.append(values)
            else:
                into.copy_(values)
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        get_ema_multi_avg_fn(decay)(averaged, current, None)  # type: ignore[no-untyped-call]
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """The weights that are trained, and how many of their kind have been averaged."""
        return {"trained": checkpoint.state_of(self.model), "updates": self.updates}

    def check_state(self, kept: Any, at: State) -> None:
        """Check what a checkpoint holds beside the average, after the steps of `at`.

        Raises:
            ValueError: it is not of this model.
        """
        if not isinstance(kept, dict) or not is_state(kept.get("trained")) or not is_count(kept.get("updates")):
            raise ValueError("it does not say which weights are trained beside their average")
        if kept["updates"] > at.step:
            raise ValueError(f"its average is of more than the {at.step:,} steps that were taken")
        trained = kept["trained"]
        try:
            self._fitting(trained)
        except CheckpointError as error:
            raise ValueError(error.message) from error
        for name, values in trained.items():
            if self.finite and not are_finite(values):
                raise ValueError(
                    f"{name} of the weights that are trained is not finite, which on_nan=ignore would let pass"
                )

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Train on with those weights; `averaged` has the checkpoint's `model` already."""
        self.model.load_state_dict(self._fitting(kept["trained"]))
        self.updates = kept["updates"]

    def _fitting(self, trained: dict[str, Tensor]) -> dict[str, Tensor]:
        return checkpoint.fitting(self.model, trained, "what is trained beside the average")
