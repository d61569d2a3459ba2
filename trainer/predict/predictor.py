"""The model of a checkpoint with its own preprocessing, ready for new samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config import custom
from trainer.config.base import Config, Custom
from trainer.data.batches import scaled
from trainer.data.described import described
from trainer.data.image import Way
from trainer.data.loading import load_dataset
from trainer.data.splits import Standardised, in_units
from trainer.data.table.columns import Column, understood
from trainer.engine.calibration import Calibration, said
from trainer.engine.device import Compute
from trainer.models import preprocessing
from trainer.models.build import build_model
from trainer.models.mode import evaluating
from trainer.run.evaluating import opened
from trainer.show.report import Report
from trainer.system.errors import CheckpointError
from trainer.system.shapes import is_count


@dataclass(frozen=True)
class Answers:
    """What a model says of N samples: `likely` are probabilities (N, classes) or, in regression, predictions
    (N, columns) in the target's own units; in main memory, in double precision.
    """

    likely: Tensor
    classes: tuple[str, ...] | None
    threshold: float | None = None  # of two classes: the probability of the second from which on it is predicted

    @cached_property
    def predicted(self) -> Tensor:
        """The class (N,) that each sample is taken for; in regression the predictions."""
        if self.classes is None:
            return self.likely
        if self.threshold is not None:
            return (self.likely[:, 1] >= self.threshold).long()
        return self.likely.argmax(1)

    @cached_property
    def probability(self) -> Tensor:
        """That of the class (N,) that each sample is taken for."""
        return self.likely.gather(1, self.predicted[:, None])[:, 0]


class Predictor:
    """The model of a checkpoint, and how it wants its samples: all of it comes from the file.

    A bare `state_dict` says nothing of these; its model and data are then those of `config`, and the data are read.
    """

    def __init__(
        self, config: Config, found: Checkpoint, compute: Compute, screen: Report, with_data: bool = True
    ) -> None:
        """Build the model; `with_data`, what the file says of where its data lie goes into `config`, too.

        Raises:
            UserError: The file does not say enough of model and data, or its weights do not fit.
        """
        self.config, self.found, self.compute = config, found, compute
        facts = found.description
        section = facts.get("data") or {}
        self._resize = None if "class" in section else section.get("resize")
        # New samples need neither the code of somebody's data nor the place of others.
        if ("class" in section or not with_data) and "shape" in facts and not config.given("data"):
            config.stand_in(str(section.get("class") or section.get("name")))
            adopt(config, found, groups=("model",))
        else:
            adopt(config, found)
            self._resize = None if isinstance(config.data, Custom) else getattr(config.data, "resize", None)
        for line in custom.announced(config):
            screen.say(line)
        preprocessing.prepare(config)
        if "shape" not in facts:
            facts = described(load_dataset(config, screen.track)) | facts
        self.facts: Mapping[str, Any] = facts
        self.shape = torch.Size(facts["shape"])
        self.classes: tuple[str, ...] | None = tuple(facts["classes"]) if facts.get("classes") else None
        self.outputs = int(facts["outputs"])
        self._check_lengths()
        known: dict[str, Any] = {"features": self.shape.numel(), "outputs": self.outputs}
        if self.classes is not None:
            known["num_classes"] = len(self.classes)
        if self.is_image:
            known |= {"channels": self.shape[0], "size": self.shape[1]}
        config.fill_data(known)
        first = torch.zeros(1, *self.shape, dtype=compute.dtype, device=compute.device)
        self.model: nn.Module = build_model(config, first, self.outputs, found)

    def _check_lengths(self) -> None:
        """Check that what a file says of its data goes together: it may be a stranger's."""
        wide = self.shape[0] if self.is_image else self.shape.numel()
        wanted = {"classes": (self.outputs,), "mean": (1, wide), "std": (1, wide)}
        wanted |= {"target_mean": (1, self.outputs), "target_std": (1, self.outputs)}
        found = {name: len(self.facts.get(name) or ()) for name in wanted}
        if not self.is_image:
            wanted |= {"columns": (wide,), "plan": (wide,)}
            found["columns"] = len(self.columns)
            found["plan"] = sum(len(column.features) for column in self.plan or ())
        if self._resize is not None and not (is_count(self._resize) and 0 < self._resize < 2**16):
            raise CheckpointError(f"{self.found.path} is damaged: its description has resize={self._resize!s:.20}")
        for name, lengths in wanted.items():
            if found[name] not in (0, *lengths):
                raise CheckpointError(
                    f"{self.found.path} is damaged: its description has {name} for {found[name]:,}, not {lengths[-1]:,}"
                )

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @cached_property
    def calibration(self) -> Calibration:
        """What was fitted to the checkpoint's probabilities, if anything was."""
        return said(self.facts, self.classes)

    @property
    def temperature(self) -> float:
        """What the logits are divided by; 1 unless the checkpoint is calibrated."""
        return self.calibration.temperature

    @property
    def threshold(self) -> float | None:
        """Of two classes, the probability of the second from which on it is predicted; None: the likelier one is."""
        return self.calibration.threshold

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the features (F,) of a table; none where the data have no names for them."""
        return tuple(self.facts.get("columns") or ())

    def takes_as(self, other: "Predictor") -> bool:
        """Whether rows of a table become the same features for it and another."""
        return (self.shape, self.columns, self.facts.get("plan")) == (
            other.shape,
            other.columns,
            other.facts.get("plan"),
        )

    @cached_property
    def plan(self) -> tuple[Column, ...] | None:
        """How the columns of a table become features; None where they are features as they are."""
        plan = self.facts.get("plan")
        return tuple(map(understood, plan)) if plan else None

    @property
    def way(self) -> Way:
        """How files of images are read.

        Raises:
            CheckpointError: The model's inputs are no square images of 1 or 3 channels.
        """
        channels, height, width = self.shape if self.is_image else (0, 0, 0)
        if height != width or channels not in (1, 3):
            what = "x".join(map(str, self.shape))
            raise CheckpointError(f"{self.found.path} is of a model for samples of {what}, which no image file becomes")
        levels = self.facts.get("levels")
        return Way(height, self._resize, channels, None if levels is None else (levels[0], levels[1]))

    @property
    def mean(self) -> tuple[float, ...] | None:
        """Per channel, of values in 0..1, or per feature; None: nothing is taken out."""
        return tuple(self.facts["mean"]) if self.facts.get("mean") else None

    @property
    def std(self) -> tuple[float, ...] | None:
        """What is divided by, per channel or per feature."""
        return tuple(self.facts["std"]) if self.facts.get("std") else None

    def images(self, pixels: Tensor) -> Answers:
        """What it says of images (N, H, W, C), uint8, that have been read by `way`."""
        return self.answers(self.outputs_of(pixels))

    def rows(self, features: Tensor) -> Answers:
        """What it says of rows (N, F) that have been encoded by `plan`, or are features as they are."""
        return self.answers(self.outputs_of(features))

    def outputs_of(self, samples: Tensor) -> Tensor:
        """The model's outputs (N, outputs) for images or rows, in main memory, in double precision."""
        if self.is_image:
            inputs = scaled(samples.to(self.compute.device), self.compute.dtype, self.mean, self.std)
        else:
            mean, std = (None if v is None else torch.tensor(v, dtype=torch.float64) for v in (self.mean, self.std))
            inputs = Standardised(samples, mean, std, self.compute.dtype)[:].to(self.compute.device)
        with evaluating(self.model), torch.inference_mode(), self.compute.autocast():
            found: Tensor = self.model(inputs)
        return found.to(self.compute.dtype).cpu().double()

    def answers(self, outputs: Tensor) -> Answers:
        """What outputs (N, outputs) of the model mean."""
        if self.classes is not None:
            return Answers(self.calibration.probabilities(outputs), self.classes, self.threshold)
        return Answers(in_units(outputs, self.facts.get("target_mean"), self.facts.get("target_std")), None)


def load(
    config: Config, ckpt: str, compute: Compute, screen: Report, nonfinite: bool = False, with_data: bool = True
) -> Predictor:
    """The predictor of a run or a checkpoint file; for `with_data` see there.

    Raises:
        UserError: There is none, it is damaged, or it does not say enough of model and data.
    """
    return Predictor(config, opened(ckpt, nonfinite, screen, "predict.allow_nonfinite"), compute, screen, with_data)
