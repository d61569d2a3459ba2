"""last.pt, previous.pt and best.pt: what a training is resumed from, and what its model is used from."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from trainer import checkpoint
from trainer.config.train import Checkpointing
from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State
from trainer.system.errors import CheckpointError, ConfigError, DivergedError, FormatError

Job = Callable[[], None]


class Checkpoints(Hook):
    """Writes checkpoints at the start, as `config` says, and at the end.

    What is written is copied first; a thread then writes it, so that training does not wait for the disk. best.pt
    is written before last.pt: what last.pt calls the best is always there. `content` gives what goes beside the
    model: optimizer, schedule and so on. `finite` says whether weights must be. `constant` is what never changes.
    """

    def __init__(
        self,
        directory: Path,
        model: nn.Module,
        description: dict[str, Any],
        content: Callable[[State], dict[str, Any]],
        objective: Objective | None,
        config: Checkpointing,
        finite: bool,
        constant: Mapping[str, Any] | None = None,
    ) -> None:
        self.constant = constant or {}
        self.directory, self.model, self.description, self.content = directory, model, description, content
        self.objective, self.config, self.finite = objective, config, finite
        self.best: dict[str, Any] | None = None  # value, loss, epoch, step
        self.best_model: dict[str, Tensor] | None = None
        self._unwritten: Job | None = None  # writes best.pt
        self._known_to_fit = False
        self._saved: dict[str, int] | None = None  # what last.pt holds
        self._saved_at = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[object] | None = None

    def on_start(self, state: State) -> None:
        if state.step == 0:
            self.save(state)
        else:
            self._saved = state.counters()

    def on_step(self, state: State) -> None:
        if not self._known_to_fit:  # an optimizer's state is there from the first step on
            _copied(self.content(state))
            self._known_to_fit = True
        every = self.config.every_steps
        if (every is not None and state.step % every == 0) or self._minutes_passed():
            self.save(state)

    def on_evaluation(self, state: State, row: Row) -> None:
        self._track(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._track(state, row)
        every = self.config.every_epochs
        if (every is not None and not state.batch and state.epoch % every == 0) or self._minutes_passed():
            self.save(state)

    def on_end(self, state: State) -> None:
        if self._unwritten is not None or self._saved != state.counters():
            self.save(state)
        self.wait()

    def save(self, state: State) -> None:
        """Write last.pt, and best.pt if there is a better one than the file holds.

        Raises:
            DivergedError: a weight is not finite; the checkpoints stay as they are.
            StorageError: the checkpoint before this one could not be written.
        """
        model = checkpoint.state_of(self.model)
        if self.finite:
            _check_finite(model, state)
        content = _copied({**self.content(state), **state.counters(), "best": self.best})
        path, keep = self.directory / "last.pt", self.directory / "previous.pt"
        self._begin(partial(self._write, path, _copied(model), keep, **content))
        self._saved, self._saved_at = state.counters(), time.monotonic()

    def secure(self, state: State) -> None:
        """Have `state` on the disk, as last.pt.

        Raises:
            StorageError: it could not be written.
        """
        if self._saved != state.counters():
            self.save(state)
        self.wait()

    @property
    def step(self) -> int | None:
        """The step that last.pt holds, or will hold once it is written; None where there is none."""
        return self._saved["step"] if self._saved is not None else None

    def wait(self) -> None:
        """Wait until what is being written is on the disk.

        Raises:
            StorageError: it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Write the best, if that is not done yet: training may have failed after it."""
        try:
            if self._unwritten is not None:
                self._begin()
            self.wait()
        finally:
            self._thread.shutdown()

    def take_up(self, best: dict[str, Any] | None) -> str:
        """Take up what last.pt calls the `best`, and what best.pt holds; why the latter is lost, or "".

        best.pt may be of a later step, if the run was killed before the next last.pt; that step will be taken again.

        Raises:
            FormatError: a trainer of another version wrote best.pt, which would be lost if it were written anew.
        """
        if best is None or self.objective is None:
            return ""
        try:
            found = checkpoint.read(self.directory / "best.pt")
            weights = checkpoint.fitting(self.model, found.model, found.path)
        except FormatError:
            raise
        except CheckpointError as error:
            return error.message
        if found.flaw and self.finite:
            return found.flaw
        if found.training.get("best") is None:
            return f"{found.path} does not say how good its weights are"
        self.objective.best, self.objective.loss = best["value"], best.get("loss")
        self.best, self.best_model = found.training["best"], weights
        return ""

    def _begin(self, *jobs: Job) -> None:
        self.wait()
        todo = [job for job in (self._unwritten, *jobs) if job is not None]
        self._unwritten = None
        self._writing = self._thread.submit(lambda: [job() for job in todo])

    def _write(self, path: Path, model: dict[str, Tensor], keep: Path | None = None, **content: Any) -> None:
        checkpoint.write(path, model, self.description, keep, **content, **self.constant)

    def _track(self, state: State, row: Row) -> None:
        if self.objective is not None and self.objective.improved(row):
            self.best = {"value": self.objective.best, "epoch": int(row["epoch"]), "step": state.step}
            if self.objective.loss is not None:
                self.best["loss"] = self.objective.loss
            self.best_model = _copied(checkpoint.state_of(self.model))
            where: dict[str, Any] = {**state.counters(), "best": self.best}
            path = self.directory / "best.pt"
            self._unwritten = partial(self._write, path, self.best_model, **where)

    def _minutes_passed(self) -> bool:
        every = self.config.every_minutes
        return every is not None and time.monotonic() - self._saved_at >= 60 * every


def _copied(value: Any, where: str = "") -> Any:
    """`value` with every tensor copied to the CPU, where training does not change it any more.

    Raises:
        ConfigError: something that a checkpoint cannot hold, in the state of an optimizer of the user's.
    """
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied(inner, f"{where}.{key}" if where else str(key)) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(inner, f"{where}.{number}") for number, inner in enumerate(value))
    if isinstance(value, np.generic):
        return value.item()
    if type(value) not in (int, float, bool, str, bytes, type(None)):
        raise ConfigError(
            f"{where} is a {type(value).__name__}, and a checkpoint holds tensors and plain values only",
            "keep numbers, text and tensors in the state of an optimizer",
        )
    return value


def _check_finite(model: dict[str, Tensor], state: State) -> None:
    for name, values in model.items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise DivergedError(
                f"{name} is not finite after epoch {state.epoch + (state.batch > 0)}, step {state.step}",
                "try a smaller optim.lr, clip_norm=1, or on_nan=skip",
                step=state.step,
            )
