"""The evaluation of checkpoints by several ranks: rank 0 says which model, and which split, and all answer together."""

import copy
from collections.abc import Iterable
from typing import Any

from trainer.data.batches import Batch
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator
from trainer.engine.ranks import Ranks
from trainer.engine.ranks.rounds import Rounds
from trainer.run.evaluating import Evaluated
from trainer.show.report import Report

_MODEL, _SPLIT, _END = "model", "split", "end"


class Leading:
    """What rank 0 tells the others, if there are any, of each model that it evaluates, and of each evaluation."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def begin(self, ckpt: str) -> None:
        """The model is that of this checkpoint now."""
        self._tell(_MODEL, ckpt)

    def share(self, evaluator: Evaluator) -> None:
        """Let all ranks answer, whenever it evaluates."""
        if self.ranks.size == 1:
            return
        shown = evaluator.shown

        def told(batches: Iterable[Batch], samples: int, split: str) -> Iterable[Batch]:
            self._tell(_SPLIT, split)  # before the first batch is answered
            return batches if shown is None else shown(batches, samples, split)

        evaluator.rounds, evaluator.shown = Rounds(self.ranks), told

    def end(self) -> None:
        """All is done."""
        self._tell(_END, "")

    def _tell(self, what: str, name: str) -> None:
        self.ranks.told([what, name])


def follow(config: Any, split: str, compute: Compute, ranks: Ranks, nonfinite: bool) -> None:
    """Answer with rank 0 until it has all it wants."""
    model: Evaluated | None = None
    while True:
        what, name = ranks.told(["", ""])
        if what == _END:
            return
        if what == _MODEL:
            model = Evaluated(copy.deepcopy(config), name, split, compute, Report(quiet=True), nonfinite, model)
            model.evaluator.rounds = Rounds(ranks)
        else:
            assert model is not None
            model.evaluator(name)
