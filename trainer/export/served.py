"""What is exported: a model with all that comes before and after it, as one module from what a user has to answers."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trainer.data.batches import moments
from trainer.export.columns import inputs_of
from trainer.export.columns_module import ByName, Columns
from trainer.export.resize import Resized, tall_images_first
from trainer.predict.predictor import Predictor

_COLOURS = {1: "grey", 3: "red, green, blue"}


class Prepare(Protocol):
    """A module that makes a model's inputs of samples as a user has them: a tensor, or several by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the inputs are called; if there are several, `example` is a dictionary of them, in this order."""

    @property
    def example(self) -> Tensor | dict[str, Tensor]:
        """Some samples, 3 of them, whose sides that may be of any length differ."""

    @property
    def free(self) -> dict[int, str]:
        """The sides of each input that may be of any length, and what they are called."""

    @property
    def said(self) -> str:
        """What the input is, in words."""

    def __call__(self, samples: Any) -> Tensor: ...


class Served(nn.Module):
    """Samples as a user has them -> answers by their names.

    `prepare` makes the model's inputs of them. `answer` makes answers of its outputs, and says what they are called.
    """

    def __init__(self, prepare: Prepare, model: nn.Module, answer: "Classes | Quantities") -> None:
        super().__init__()
        self.prepare, self.model, self.answer = prepare, model, answer

    def forward(self, samples: Any) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.answer(self.model(self.prepare(samples)))
        return found


class Pixels(nn.Module):
    """Images (N, H, W, C) -> a model's inputs (N, C, S, S): resized if there is a `resized`, scaled and standardised.

    `mean` and `std` are per channel, of values in 0..1. Images are uint8, or floats as the data have them.
    """

    names = ("pixels",)
    taken: Tensor
    factor: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        resized: Resized | None,
    ) -> None:
        super().__init__()
        self.shape, self.dtype, self.resized = tuple(shape), dtype, resized
        taken, factor = moments(mean, std, dtype, torch.float32, torch.device("cpu"))
        self.register_buffer("taken", taken[:, None, None])
        self.register_buffer("factor", factor[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        images = self.resized(pixels) if self.resized is not None else pixels.permute(0, 3, 1, 2).float()
        found: Tensor = (images - self.taken) * self.factor
        return found

    @property
    def example(self) -> Tensor:
        channels, height, width = self.shape
        if self.resized is not None:
            height, width = height + 5, width + 7
        return torch.zeros(3, height, width, channels, dtype=self.dtype)

    @property
    def said(self) -> str:
        channels, height, width = self.shape
        sides = "H, W" if self.resized is not None else f"{height}, {width}"
        kind = "uint8" if self.dtype == torch.uint8 else "float32"
        size = f" of any size: {_COLOURS[channels]}" if self.resized is not None else ""
        return f"{self.names[0]} (N, {sides}, {channels}) {kind}: images{size}"

    @property
    def free(self) -> dict[int, str]:
        return {0: "batch"} | ({1: "height", 2: "width"} if self.resized is not None else {})


class Features(nn.Module):
    """Rows (N, F) -> a model's inputs (N, F): standardised in double precision, where `mean` and `std` are given."""

    names = ("features",)
    mean: Tensor | None
    std: Tensor | None

    def __init__(
        self, count: int, dtype: torch.dtype, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.count, self.dtype = count, dtype
        self.register_buffer("mean", _double(mean))
        self.register_buffer("std", _double(std))

    def forward(self, features: Tensor) -> Tensor:
        if self.mean is not None and self.std is not None:
            features = (features.double() - self.mean) / self.std
        return features.float()

    @property
    def example(self) -> Tensor:
        return torch.zeros(3, self.count, dtype=self.dtype)

    @property
    def said(self) -> str:
        kind = "float32" if self.dtype == torch.float32 else "float64"
        return f"{self.names[0]} (N, {self.count}) {kind}: rows, in the order of the columns"

    @property
    def free(self) -> dict[int, str]:
        return {0: "batch"}


class Classes(nn.Module):
    """Outputs (N, classes) -> `logits` as the model gives them, and `probabilities`, for which they are divided by
    the temperature."""

    names = ("logits", "probabilities")

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs: Tensor) -> dict[str, Tensor]:
        scaled = outputs if self.temperature == 1 else outputs / self.temperature
        return {"logits": outputs, "probabilities": scaled.softmax(1)}


class Quantities(nn.Module):
    """Outputs (N, columns) -> `values` in the target's own units, in double precision."""

    names = ("values",)
    mean: Tensor | None
    std: Tensor | None

    def __init__(self, mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
        super().__init__()
        self.register_buffer("mean", _double(mean))
        self.register_buffer("std", _double(std))

    def forward(self, outputs: Tensor) -> dict[str, Tensor]:
        values = outputs.double()
        if self.mean is not None and self.std is not None:
            values = values * self.std + self.mean
        return {"values": values}


def served(predictor: Predictor, table: type[Columns | ByName] = Columns) -> Served:
    """The module for the model of a checkpoint; `table` takes the rows of a table that has a column plan.

    Images may be of any size if an image file can become one of the model's inputs.
    """
    facts = predictor.facts
    answer: Classes | Quantities
    if predictor.classes is not None:
        answer = Classes(predictor.temperature)
    else:
        answer = Quantities(facts.get("target_mean"), facts.get("target_std"))
    return Served(_prepare(predictor, table), predictor.model, answer)


def _prepare(predictor: Predictor, table: type[Columns | ByName]) -> Prepare:
    shape, mean, std = predictor.shape, predictor.mean, predictor.std
    if predictor.plan is not None:
        return table(inputs_of(predictor.plan))
    if not predictor.is_image:
        return Features(shape.numel(), torch.float64, mean, std)  # numpy's own, in which no digit is lost
    if not predictor.facts.get("bytes", True):
        return Pixels(shape, torch.float32, mean, std, None)
    channels, height, width = shape
    of_files = height == width and channels in (1, 3)
    resized = Resized(predictor.way, tall_images_first()) if of_files else None
    return Pixels(shape, torch.uint8, mean, std, resized)


def _double(values: Sequence[float] | None) -> Tensor | None:
    return torch.tensor(values, dtype=torch.float64) if values else None
