"""The model of a checkpoint, ready to be evaluated on its own data or on others."""

import json
import os
from collections.abc import Iterator
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.data.described import changed
from trainer.data.known import found_again
from trainer.data.loading import eval_batch_size, example, load_dataset, stream_workers
from trainer.data.splits import Dataset
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator
from trainer.engine.objective import choose_loss
from trainer.models.build import build_model
from trainer.show.report import Report
from trainer.system.errors import CheckpointError
from trainer.system.paths import expanded


class Evaluated:
    """A model with its data, and what was said of them. `beside` is another of the same data, which are then shared."""

    def __init__(
        self,
        config: Config,
        ckpt: str,
        compute: Compute,
        screen: Report,
        nonfinite: bool,
        beside: "Evaluated | None" = None,
    ) -> None:
        """Load it.

        Raises:
            UserError: There is no such checkpoint, it does not fit, or has `nonfinite` weights and may not.
        """
        self.config, self.found = config, checkpoint.read(ckpt)
        if self.found.flaw:
            if not nonfinite:
                raise CheckpointError(self.found.flaw, "evaluate them all the same: eval.allow_nonfinite=true")
            screen.warn(self.found.flaw)
        adopt(config, self.found)
        for line in custom.announced(config) if beside is None else []:
            screen.say(line)
        self.elsewhere = _elsewhere(config, self.found)
        if self.elsewhere:
            _take_all(config)
        same = beside if beside is not None and beside._said == self._said else None
        shared = same.data if same is not None else None
        self.data: Dataset = load_dataset(config, screen.track, shared, self.found.description or None)
        first, outputs = example(self.data, compute.device, compute.dtype), int(self.data.facts()["outputs"])
        built = build_model(config, first, outputs, self.found)
        loss = choose_loss(str(self.found.description.get("loss", "auto")), self.data)
        batch_size, workers = eval_batch_size(config, self.data), stream_workers(config, self.data, compute.device)
        self.evaluator = Evaluator(built, self.data, compute, loss, batch_size, workers)
        if same is not None:
            self.evaluator.share(same.evaluator)

    @property
    def where(self) -> str:
        """The file, and of which epoch it is."""
        epoch = self.found.training.get("epoch")
        return f"{self.found.path}" + (f" (epoch {epoch})" if epoch is not None else " (a bare state_dict)")

    @property
    def _said(self) -> str:
        """What decides how the data are read."""
        said = {key: value for key, value in self.found.description.items() if key not in ("model", "choices", "loss")}
        return json.dumps([said, self.config.describe("data")], sort_keys=True)

    def split(self, asked: str) -> tuple[str, str]:
        """The split that `split=` means, and how it is called; of data that nobody has trained on, all samples."""
        if asked == "all" or (asked == "auto" and self.elsewhere):
            why = f", for {self.elsewhere} is not what the model was trained on" if self.elsewhere else ""
            return "all", f"all samples{why}"
        name = "test" if asked == "auto" else asked
        return name, f"{name} split"

    def notes(self) -> Iterator[str]:
        """What is worth knowing of the data."""
        yield from self.data.notes
        if not self.elsewhere and (note := changed(self.data, self.found)):
            yield note

    def known(self, split: str) -> tuple[str, bool]:
        """What to say of samples in a split that the model was trained on, and whether loudly; "" if there are none."""
        again = found_again(self.found.training.get("known"), self.data.split(split)) if split != "train" else None
        if again is None or not again.count:
            return "", False
        said = f"of {again.total:,} evaluated samples the model was trained on {again.counted}"
        if again.leak:
            return f"{said}: its figures say little of new data", True
        return f"{said}, or on equal ones", False


def _elsewhere(config: Config, found: Checkpoint) -> str:
    """The key that leads to other data than the model was trained on, as it is typed; "" if they are the same."""
    described, section = found.description.get("data"), config.data
    path = None if isinstance(section, Custom) else getattr(section, "path", None)
    if not isinstance(described, dict) or path is None:
        return ""
    before = described.get("path")
    if isinstance(before, str) and os.path.realpath(expanded(before)) == os.path.realpath(expanded(path)):
        return ""
    return f"data.path={path}"


def _take_all(config: Config) -> None:
    """Leave nothing out of data that nobody has trained on, but for what was typed."""
    typed = {word.lstrip("+").split("=", 1)[0] for word in config.typed}
    whole: dict[str, Any] = {"limit": None, "val_fraction": 0.0, "folds": None, "fold": None}
    for name, value in whole.items():
        if f"data.{name}" not in typed:
            setattr(config.data, name, value)
