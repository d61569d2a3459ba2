"""What the pictures of a training are made of. Imports neither torch nor matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.engine.evaluator import Evaluator
    from trainer.engine.metrics import Evaluation


@dataclass(frozen=True)
class Best:
    """The evaluation that was kept: the metric that picked it, its value, its epoch and its step."""

    metric: str
    value: float
    epoch: int
    step: int


@dataclass(frozen=True)
class Trained:
    """A training that has come to its end: its `rows`, and how its model did on the test split.

    `subject` is what data and model are called.
    `best` is None where no validation split picked one. `rates` are the learning rates after single steps, as
    (step, rate), where they change within epochs.
    """

    rows: Sequence[dict[str, float]]
    evaluator: "Evaluator"
    test: "Evaluation"
    subject: str
    best: Best | None = None
    rates: Sequence[tuple[int, float]] = ()
