"""TensorBoard's file in the run directory: curves, pictures, the graph, hyperparameters, histograms."""

import contextlib
import io
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from trainer import schema
from trainer.loop import Hook, Row, State, evaluating

HAND_SECONDS = 1.0
POINTS = 1000  # a curve gets no more points than that: longer trainings skip epochs evenly


class TensorBoard(Hook):
    """Writes what the loop reports; `figure` and `finish` take what comes after it."""

    def __init__(self, directory: Path, config: schema.TensorBoard, model: nn.Module, epochs: int) -> None:
        self.config, self.model = config, model
        self.writer = SummaryWriter(str(directory), max_queue=1000, flush_secs=30)
        self.stride = max(1, epochs // POINTS)
        self.epochs = epochs
        self._losses: list[tuple[int, Tensor]] = []
        self._last_step = 0
        self._waiting: list[tuple[dict[str, float], int, float]] = []  # values, step, time
        self._handed = 0.0

    def graph(self, example: Tensor) -> str:
        """Draw the model's graph for one input; the reason if it cannot be traced."""
        try:
            with (
                evaluating(self.model),
                warnings.catch_warnings(),
                contextlib.redirect_stdout(io.StringIO()),
            ):  # torch prints its failure
                warnings.simplefilter("ignore")  # the tracer's remarks are on models, not on us
                # Traced here, for add_graph would check the trace: that takes as long as a short training.
                traced = torch.jit.trace(self.model, example, check_trace=False)  # type: ignore[no-untyped-call]
                self.writer.add_graph(traced, example)
        except Exception as error:  # a model may do anything; its graph is a courtesy
            return (str(error).strip().splitlines() or [type(error).__name__])[0]
        return ""

    def on_step(self, state: State, loss: Tensor) -> None:
        if state.step - self._last_step >= self.config.every_steps:
            self._last_step = state.step
            self._losses.append((state.step, loss.clone()))  # read later: reading waits for the device

    def on_evaluation(self, state: State, row: Row) -> None:
        self._scalars(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        if state.epoch % self.stride and state.epoch != self.epochs and not state.stop:
            return
        self._scalars(state, row)
        if self.config.histograms:
            for name, parameter in self.model.named_parameters():
                self.writer.add_histogram(f"weights/{name}", parameter.detach(), state.step)
                if parameter.grad is not None:
                    self.writer.add_histogram(f"gradients/{name}", parameter.grad, state.step)

    def _scalars(self, state: State, row: Row) -> None:
        if self._losses:
            values = torch.stack([loss for _, loss in self._losses]).tolist()
            for (step, _), value in zip(self._losses, values, strict=True):
                self._write({"train/step_loss": value}, step)
        self._losses.clear()
        self._write({name: value for name, value in row.items() if name not in ("epoch", "step")}, state.step)

    def _write(self, values: dict[str, float], step: int) -> None:
        """Keep `values` for the next time that events are handed to the writer's thread.

        Each time wakes it, and for a moment it takes Python from the training: tiny epochs would feel that.
        """
        now = time.time()
        self._waiting.append((values, step, now))
        if now - self._handed >= HAND_SECONDS:
            self.hand_over()

    def hand_over(self) -> None:
        """Give the writer what waits: one event for all values of a row, where `add_scalar` writes one for each."""
        writer = self.writer._get_file_writer()  # type: ignore[no-untyped-call]
        for values, step, when in self._waiting:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
            writer.add_summary(summary, step, walltime=when)
        self._waiting.clear()
        self._handed = time.time()

    def on_end(self, state: State) -> None:
        self.hand_over()

    def image(self, name: str, pixels: np.ndarray[Any, Any], state: State) -> None:
        """A picture (height, width, 3) under the Images tab."""
        self.writer.add_image(name, pixels, state.step, dataformats="HWC")

    def finish(self, hyperparameters: dict[str, Any], metrics: dict[str, float], state: State) -> None:
        """The HParams tab's entry: what was set, and how it ended."""
        plain = {k: v if isinstance(v, int | float | bool | str) else str(v) for k, v in hyperparameters.items()}
        for summary in hparams(plain, dict(metrics)):  # type: ignore[no-untyped-call]
            # add_hparams would put them into a run of its own
            self.writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        self._write(metrics, state.step)

    def close(self) -> None:
        """Write what is buffered."""
        self.hand_over()
        self.writer.close()
