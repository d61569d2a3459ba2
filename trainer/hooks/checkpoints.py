"""last.pt and best.pt: what there is to go on from, and what to use."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from trainer import checkpoint
from trainer.hooks.early_stopping import Objective
from trainer.loop import Hook, Row, State


class Checkpoints(Hook):
    """Writes last.pt after an epoch and best.pt after an improvement, each at most every `seconds`.

    An improvement is remembered in memory at once, so that nothing is lost to the throttle but what a
    crash takes. `content` gives what goes beside the model: optimizer, schedule and so on.
    """

    def __init__(
        self,
        directory: Path,
        model: nn.Module,
        description: dict[str, Any],
        content: Callable[[], dict[str, Any]],
        objective: Objective | None,
        seconds: float,
    ) -> None:
        self.directory, self.model, self.description, self.content = directory, model, description, content
        self.objective, self.seconds = objective, seconds
        self.best: dict[str, Any] | None = None  # value, epoch, step
        self.best_model: dict[str, Tensor] | None = None
        self._best_content: dict[str, Any] = {}
        self._best_written = True
        self._wrote = {"last": time.monotonic(), "best": time.monotonic()}

    def on_epoch(self, state: State, row: Row) -> None:
        self._track(state, row)
        if self._due("last"):
            self._write_last(state)
        if self._due("best"):
            self.write_best()

    def on_evaluation(self, state: State, row: Row) -> None:
        self._track(state, row)

    def on_end(self, state: State) -> None:
        self._write_last(state)
        self.write_best()

    def write_best(self) -> None:
        """Write best.pt, if there is a best that has not been written yet."""
        if self.best_model is not None and not self._best_written:
            checkpoint.write(self.directory / "best.pt", self.best_model, self.description, **self._best_content)
            self._best_written = True
            self._wrote["best"] = time.monotonic()

    def _track(self, state: State, row: Row) -> None:
        if self.objective is not None and self.objective.improved(row):
            self.best = {"value": row[self.objective.name], "epoch": int(row["epoch"]), "step": state.step}
            self.best_model = {k: v.detach().clone() for k, v in checkpoint.state_of(self.model).items()}
            self._best_content = self._where(state)
            self._best_written = False

    def _due(self, name: str) -> bool:
        return time.monotonic() - self._wrote[name] >= self.seconds

    def _where(self, state: State) -> dict[str, Any]:
        return {"epoch": state.epoch, "batch": state.batch, "step": state.step, "best": self.best}

    def _write_last(self, state: State) -> None:
        model = checkpoint.state_of(self.model)
        checkpoint.write(
            self.directory / "last.pt",
            model,
            self.description,
            rng=checkpoint.rng_states(),
            **self.content(),
            **self._where(state),
        )
        self._wrote["last"] = time.monotonic()
