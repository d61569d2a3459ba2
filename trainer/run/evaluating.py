"""The model of a checkpoint, ready to be evaluated on its own data or on others."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.config.locating import beside
from trainer.data.described import changed
from trainer.data.known import found_again
from trainer.data.loading import eval_batch_size, example, load_dataset
from trainer.data.placing import placed
from trainer.data.splits import Dataset, Split
from trainer.engine import calibration
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator
from trainer.engine.losses import Loss
from trainer.engine.objective import loss_called
from trainer.engine.own import make_loss, make_metrics
from trainer.models import preprocessing
from trainer.models.build import build_model
from trainer.show.report import Report
from trainer.system.errors import CheckpointError, DataError
from trainer.system.paths import expanded
from trainer.system.shown import printable


class Evaluated:
    """A model with the `split` that it is evaluated on, which is `called` so; `whole` data have no other."""

    def __init__(
        self,
        config: Config,
        ckpt: str,
        split: str,
        compute: Compute,
        screen: Report,
        nonfinite: bool,
        beside: "Evaluated | None" = None,
    ) -> None:
        """Load the checkpoint, and its data or those that were typed; `beside` may have the same data.

        `split` is as it was typed: `auto` is all of data that the model was not trained on, otherwise `test`.

        Raises:
            UserError: There is no such checkpoint, it does not fit, or has `nonfinite` weights and may not.
        """
        self.config, self.found = config, opened(ckpt, nonfinite, screen)
        adopt(config, self.found)
        missing = config.adopt_own(self.found.description.get("own") or {})
        for line in custom.announced(config) if beside is None else []:
            screen.say(line)
        preprocessing.prepare(config)
        other = _other(config, self.found)
        self.whole = bool(other) and split in ("auto", "all")
        self.split = ("all" if self.whole else "test") if split == "auto" else split
        self.called = "all samples" if self.split == "all" else f"{self.split} split"
        if self.whole:
            self.called += f", for the model was not trained on {other}"
            _take_all(config)
        same = beside if beside is not None and beside._said == self._said else None
        loaded, trained = same.data if same is not None else None, self.found.description or None
        with screen.doing(f"reading {config.title('data')}"):
            self.data: Dataset = load_dataset(config, screen.track, loaded, trained, self.whole)
        first, outputs = example(self.data, compute.device, compute.dtype), int(self.data.facts()["outputs"])
        built = build_model(config, first, outputs, self.found)
        loss = self._loss(compute, missing, screen)
        batch_size, placing = eval_batch_size(config, self.data), placed(config, self.data, compute.device)
        self.evaluator = Evaluator(built, self.data, compute, loss, batch_size, placing)
        self.evaluator.shown = screen.evaluating
        self.evaluator.own = make_metrics(config, self.data, self.split, compute) if len(self.samples) else []
        self.evaluator.calibration = calibration.said(self.found.description, self.data.classes)
        if same is not None:
            self.evaluator.share(same.evaluator)

    def _loss(self, compute: Compute, missing: Sequence[str], screen: Report) -> Loss:
        """The loss that the model was trained with; one of the user's own that is not here is said to be `missing`."""
        said = str(self.found.description.get("loss", "auto"))
        for kind, _, name in (path.partition(".") for path in missing):
            what = "the loss is the one that fits the data" if kind == "loss" else "it is left out"
            screen.warn(f"{printable(kind)}={printable(name)} is not in ./configs here: {what}")
            said = "auto" if kind == "loss" else said
        for name, section in self.config.own.get("loss", {}).items():
            return make_loss(section, name, self.data, compute)
        return loss_called(said, self.data)

    @property
    def samples(self) -> Split:
        """Those that it is evaluated on.

        Raises:
            DataError: There are none.
        """
        found = self.data.split(self.split)
        if not len(found):
            raise DataError(f"no sample of the {self.split} split is of a class that the model knows")
        return found

    @property
    def where(self) -> str:
        """The file, and of which epoch it is."""
        epoch = self.found.training.get("epoch")
        return f"{self.found.path}" + (f" (epoch {epoch})" if epoch is not None else " (a bare state_dict)")

    @property
    def _said(self) -> str:
        """What decides how the data are read."""
        other = ("model", "choices", "loss", "temperature", "threshold")
        said = {key: value for key, value in self.found.description.items() if key not in other}
        return json.dumps([said, self.config.describe("data")], sort_keys=True)

    def notes(self) -> Iterator[str]:
        """What is worth knowing of the data."""
        yield from self.data.notes
        if not self.whole and (note := changed(self.data, self.found)):
            yield note

    def known(self) -> tuple[str, bool]:
        """What to say of samples among them that the model was trained on, and whether loudly; "" if there are none."""
        kept = self.found.training.get("known") if self.split != "train" else None
        again = found_again(kept, self.samples)
        if again is None or not again.count:
            return "", False
        said = f"of {again.total:,} evaluated samples the model was trained on {again.counted}"
        if again.leak:
            return f"{said}: its figures say little of new data", True
        return f"{said}, or on equal ones", False


def opened(ckpt: str, nonfinite: bool, screen: Report, key: str = "eval.allow_nonfinite") -> Checkpoint:
    """Read a checkpoint, whose weights are to be finite unless others are let pass, by `key`, with a warning.

    Raises:
        CheckpointError: There is none, or its weights are not finite.
    """
    found = checkpoint.read(ckpt)
    if found.flaw:
        if not nonfinite:
            raise CheckpointError(found.flaw, f"use them all the same: {key}=true")
        screen.warn(found.flaw)
    return found


def _other(config: Config, found: Checkpoint) -> str:
    """The path of other data than the model was trained on, as a key is typed; "" if they are the same."""
    described, section = found.description.get("data"), config.data
    path = None if isinstance(section, Custom) else getattr(section, "path", None)
    if not isinstance(described, dict) or path is None or not {"data", "data.path"} & config.typed_keys:
        return ""
    before = described.get("path")
    if isinstance(before, str):
        its = expanded(beside(before, found.path))
        if os.path.realpath(its) == os.path.realpath(expanded(path)):
            return ""
    return f"data.path={path}"


def _take_all(config: Config) -> None:
    """Leave nothing out of data that nobody has trained on, and add none of others, but for what was typed."""
    typed = config.typed_keys
    whole: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0}
    whole |= dict.fromkeys(("limit", "folds", "fold", "val_path", "test_path", "split", "group", "time"))
    for name, value in whole.items():
        if f"data.{name}" not in typed and hasattr(config.data, name):
            setattr(config.data, name, value)
