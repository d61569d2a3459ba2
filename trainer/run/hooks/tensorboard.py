"""TensorBoard's file in the run directory: curves, pictures, the graph, hyperparameters, histograms."""

import struct
import time
from pathlib import Path
from typing import Any

import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from torch import Tensor, nn
from torch.utils.tensorboard import summary

from trainer.config.train import TensorBoard as TensorBoardConfig
from trainer.engine.loop import Hook
from trainer.engine.objective import Objective
from trainer.engine.state import Row, State
from trainer.run.hooks import charts
from trainer.run.hooks.events import Events, buckets
from trainer.system.errors import first_line
from trainer.system.shown import shortened

HAND_SECONDS = 1.0
STATUS = {"completed": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}
TEXT = 200  # letters of a hyperparameter
POINTS = 1000  # a curve has no more points than about that: longer trainings skip epochs evenly


class TensorBoard(Hook):
    """Writes what the loop reports; before the training `begin` and `graph` write, after it `image` and `finish`.

    `objective` is one of its own, which has seen the rows of a training that is resumed; `purge_from` is the first step
    that TensorBoard is to forget then.
    """

    def __init__(
        self,
        directory: Path,
        config: TensorBoardConfig,
        model: nn.Module,
        epochs: int,
        objective: Objective,
        purge_from: int | None = None,
    ) -> None:
        self.config, self.model, self.objective = config, model, objective
        self._has_layout = False
        self.events = Events(directory, purge_from)
        self.stride = max(1, epochs // POINTS)
        self.epochs = epochs
        self._losses: list[tuple[int, Tensor]] = []
        self._waiting: list[tuple[dict[str, float], int, float]] = []  # values, step, time
        self._handed = 0.0

    def graph(self, example: Tensor) -> str:
        """Draw the model's graph for one input (1, ...); return the reason if it cannot be drawn."""
        from trainer.show.graph import graph  # late: importing it takes seconds

        try:
            drawn = graph(self.model, example)
        except Exception as error:  # a model may do anything; its graph is a courtesy
            return first_line(error)
        self.events.graph(drawn)
        return ""

    def on_step(self, state: State) -> None:
        if state.step % self.config.every_steps == 0:
            self._losses.append((state.step, state.loss.clone()))  # read later, because reading waits for the device

    def on_evaluation(self, state: State, row: Row) -> None:
        self.objective.improved(row)
        self._scalars(state, row)

    def on_epoch(self, state: State, row: Row) -> None:
        self.objective.improved(row)
        if state.epoch % self.stride and state.epoch != self.epochs and not state.stop:
            return
        self._scalars(state, row)
        if self.config.histograms:
            edges = buckets()
            for name, parameter in self.model.named_parameters():
                self._histogram(f"weights/{name}", parameter.detach(), edges, state.step)
                if parameter.grad is not None:
                    self._histogram(f"weights/{name}.grad", parameter.grad, edges, state.step)

    def _histogram(self, name: str, values: Tensor, edges: list[float], step: int) -> None:
        self.events.summary(summary.histogram(name, values.cpu().numpy(), edges), step)  # type: ignore[no-untyped-call]

    def _scalars(self, state: State, row: Row) -> None:
        self._read_losses()
        if not self._has_layout:
            self._lay_out(row)
        values = {charts.tag(name): value for name, value in row.items() if name not in ("epoch", "step")}
        self._write(values | self._of_objective(row), state.step)

    def _of_objective(self, row: Row) -> dict[str, float]:
        name, value = self.objective.name, self.objective.best
        found = {charts.raw(name): row[name]} if name in row else {}
        return found if value is None else {charts.best(name): value, **found}

    def _lay_out(self, row: Row) -> None:
        """Write the layout of the Custom Scalars tab, once it is known what rows have."""
        found = charts.layout(row, self.objective.name)
        self.events.summary(summary.custom_scalars(found))  # type: ignore[no-untyped-call]
        self._has_layout = True

    def _read_losses(self) -> None:
        if self._losses:
            values = torch.stack([loss for _, loss in self._losses]).tolist()
            for (step, _), value in zip(self._losses, values, strict=True):
                self._write({charts.STEP_LOSS: value}, step)
        self._losses.clear()

    def _write(self, values: dict[str, float], step: int) -> None:
        """Keep `values` until events are next made of them: tiny epochs would be slower with an event each."""
        now = time.time()
        self._waiting.append((values, step, now))
        if not 0 <= now - self._handed < HAND_SECONDS:  # a clock may be set back
            self._hand_over()

    def _hand_over(self) -> None:
        """Make an event of all values of each row that waits."""
        for values, step, when in self._waiting:
            points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            self.events.summary(Summary(value=points), step, when)
        self._waiting.clear()
        self._handed = time.time()

    def flush(self) -> tuple[str, int]:
        """Bring everything so far to the disk; return the name of the file and its length in bytes."""
        self._catch_up()
        return self.events.path.name, self.events.flush()

    def on_end(self, state: State) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        self._read_losses()
        self._hand_over()

    def image(self, name: str, png: bytes, state: State) -> None:
        """Write a picture for the Images tab, as the file that it is: `summary.image` would take 30 ms to make one."""
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self.events.summary(Summary(value=[Summary.Value(tag=f"{charts.PICTURES}/{name}", image=image)]), state.step)

    def begin(self, hyperparameters: dict[str, Any]) -> None:
        """Write the settings for the HParams tab. They come first, so that a run that fails is listed, too."""
        plain = {shortened(k, TEXT): _plain(v) for k, v in hyperparameters.items()}
        # Without the list of columns: TensorBoard takes one run's list for all runs, and finds them itself without one.
        _, start, _ = summary.hparams(plain, {})  # type: ignore[no-untyped-call]
        self.events.summary(start)

    def finish(self, metrics: dict[str, float], state: State) -> None:
        """Write the final metrics, `test/accuracy`, say."""
        if self.objective.best is None and self.objective.improved(metrics):  # rows do not have it
            metrics = metrics | self._of_objective(metrics)
        self._write(metrics, state.step)

    def close(self, status: str = "interrupted") -> None:
        """Write what is left, and how the run ended, unless it was interrupted."""
        try:
            self._catch_up()
            if status in STATUS:
                self._ended(status)
        finally:  # otherwise Python tries again when it ends, and complains
            self.events.close()

    def _ended(self, status: str) -> None:
        ended = plugin_data_pb2.HParamsPluginData(
            session_end_info=plugin_data_pb2.SessionEndInfo(status=STATUS[status], end_time_secs=time.time())
        )
        found = metadata.create_summary_metadata(ended)
        self.events.summary(Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=found)]))


def _plain(value: Any) -> float | bool | str:
    """A hyperparameter as TensorBoard takes it: its file holds no half characters, and no whole numbers of any size."""
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return shortened(str(value), TEXT)
