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
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from torch import Tensor, nn
from torch.utils.tensorboard import _pytorch_graph, summary

from trainer.config.train import TensorBoard as TensorBoardConfig
from trainer.engine.loop import Hook, Row, State
from trainer.models.mode import evaluating
from trainer.run.hooks.events import Events, buckets

HAND_SECONDS = 1.0
STATUS = {"completed": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}
POINTS = 1000  # a curve gets no more points than that: longer trainings skip epochs evenly


class TensorBoard(Hook):
    """Writes what the loop reports; `begin` takes what is known before, `image` and `finish` what comes after it.

    `purge_from` is for a training that goes on: the first step that TensorBoard shall forget.
    """

    def __init__(
        self,
        directory: Path,
        config: TensorBoardConfig,
        model: nn.Module,
        epochs: int,
        purge_from: int | None = None,
    ) -> None:
        self.config, self.model = config, model
        self.events = Events(directory, purge_from)
        self.stride = max(1, epochs // POINTS)
        self.epochs = epochs
        self._losses: list[tuple[int, Tensor]] = []
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
                # Traced here, for torch would check the trace: that takes as long as a short training.
                traced = torch.jit.trace(self.model, example, check_trace=False)  # type: ignore[no-untyped-call]
                drawn = _pytorch_graph.graph(traced, example)  # type: ignore[no-untyped-call]
        except Exception as error:  # a model may do anything; its graph is a courtesy
            return (str(error).strip().splitlines() or [type(error).__name__])[0]
        self.events.graph(*drawn)
        return ""

    def on_step(self, state: State) -> None:
        if state.step % self.config.every_steps == 0:
            self._losses.append((state.step, state.loss.clone()))  # read later: reading waits for the device

    def on_evaluation(self, state: State, row: Row) -> None:
        self._scalars(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        if state.epoch % self.stride and state.epoch != self.epochs and not state.stop:
            return
        self._scalars(state, row)
        if self.config.histograms:
            edges = buckets()
            for name, parameter in self.model.named_parameters():
                self._histogram(f"weights/{name}", parameter.detach(), edges, state.step)
                if parameter.grad is not None:
                    self._histogram(f"gradients/{name}", parameter.grad, edges, state.step)

    def _histogram(self, name: str, values: Tensor, edges: list[float], step: int) -> None:
        self.events.summary(summary.histogram(name, values.cpu().numpy(), edges), step)  # type: ignore[no-untyped-call]

    def _scalars(self, state: State, row: Row) -> None:
        self._read_losses()
        self._write({name: value for name, value in row.items() if name not in ("epoch", "step")}, state.step)

    def _read_losses(self) -> None:
        if self._losses:
            values = torch.stack([loss for _, loss in self._losses]).tolist()
            for (step, _), value in zip(self._losses, values, strict=True):
                self._write({"train/step_loss": value}, step)
        self._losses.clear()

    def _write(self, values: dict[str, float], step: int) -> None:
        """Keep `values` for the next time that events are made of them: tiny epochs would feel one each."""
        now = time.time()
        self._waiting.append((values, step, now))
        if not 0 <= now - self._handed < HAND_SECONDS:  # a clock may be set back
            self._hand_over()

    def _hand_over(self) -> None:
        """Write what waits: one event for all values of a row."""
        for values, step, when in self._waiting:
            points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            self.events.summary(Summary(value=points), step, when)
        self._waiting.clear()
        self._handed = time.time()

    def flush(self) -> tuple[str, int]:
        """Write everything that there is so far; the file's name and how long it then is."""
        self._read_losses()
        self._hand_over()
        return self.events.path.name, self.events.flush()

    def on_end(self, state: State) -> None:
        self.flush()

    def image(self, name: str, pixels: np.ndarray[Any, Any], state: State) -> None:
        """A picture (height, width, 3) under the Images tab."""
        self.events.summary(summary.image(name, pixels, dataformats="HWC"), state.step)  # type: ignore[no-untyped-call]

    def begin(self, hyperparameters: dict[str, Any]) -> None:
        """The HParams tab's entry: what was set, written first so that a run that fails is listed too."""
        plain = {k: v if isinstance(v, int | float | bool | str) else str(v) for k, v in hyperparameters.items()}
        # Not the list of columns: TensorBoard would take that of any one run for all. Without, it finds them itself.
        _, start, _ = summary.hparams(plain, {})  # type: ignore[no-untyped-call]
        self.events.summary(start)

    def finish(self, metrics: dict[str, float], state: State) -> None:
        """The final metrics."""
        self._write(metrics, state.step)

    def close(self, status: str = "interrupted") -> None:
        """Write what is buffered, and how the run ended; one that was interrupted has not."""
        try:
            self.flush()
            if status in STATUS:
                self._ended(status)
        finally:  # or Python would try again at its end, and complain
            self.events.close()

    def _ended(self, status: str) -> None:
        ended = plugin_data_pb2.HParamsPluginData(
            session_end_info=plugin_data_pb2.SessionEndInfo(status=STATUS[status], end_time_secs=time.time())
        )
        found = metadata.create_summary_metadata(ended)
        self.events.summary(Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=found)]))
