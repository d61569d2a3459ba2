"""TensorBoard's hook of a training, and the folder that its file lies in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.engine.objective import Objective
from trainer.engine.state import Row
from trainer.run import directory as runs
from trainer.run import summary
from trainer.run.parts import Parts
from trainer.show.report import Report

if TYPE_CHECKING:
    from trainer.run.hooks.tensorboard import TensorBoard


def opened(parts: Parts, directory: Path, rows: Sequence[Row], resumed: bool, screen: Report) -> "TensorBoard | None":
    """The hook of a training, which has `rows` already if it is resumed; None where it is switched off.

    Raises:
        StorageError: Its file cannot be written.
    """
    config = parts.config.tensorboard
    if not config.enabled:
        return None
    from trainer.run.hooks.tensorboard import TensorBoard  # late: importing it takes a second

    objective = Objective(parts.objective.name, parts.objective.direction)
    for row in rows:
        objective.improved(row)
    place, purge_from = runs.of_tensorboard(directory), parts.state.step + 1 if resumed else None
    board = TensorBoard(place, config, parts.model, parts.plan.epochs, objective, purge_from)
    board.begin(summary.hyperparameters(parts.config))
    reason = board.graph(parts.example) if config.graph and not resumed else ""
    if reason:
        screen.say(f"  TensorBoard gets no graph of this model: {reason}", style="dim")
    return board
