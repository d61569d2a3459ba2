"""What is predicted as the columns of a table: the likeliest classes with their probabilities, or values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from trainer.predict.tables import Reasons
from trainer.predict.together import Said, Together
from trainer.system.errors import ConfigError, did_you_mean

ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_OURS = re.compile(
    rf"input|probability|agreement|error|(predicted|spread)(_\d+)?|({'|'.join(ORDINALS)})(_probability)?|p_.*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Choice:
    """Which columns are wanted: `top` classes, `all` probabilities, of some `classes` alone, and the `threshold`."""

    top: int = 3
    all: bool = False
    classes: tuple[str, ...] = ()
    threshold: float | None = None


class Columns:
    """Makes the columns of a table of predictions.

    Raises:
        ConfigError: The choice is one of classes, and there are none or others.
    """

    def __init__(self, together: Together, choice: Choice, numbered: bool) -> None:
        self.together, self.choice, self.numbered = together, choice, numbered
        self.classes = together.classes
        if self.classes is None:
            given = [name for name in ("threshold", "classes", "all") if getattr(choice, name)]
            if given:
                raise ConfigError(f"predict.{given[0]}: the model predicts values, and has no classes", "leave it out")
            return
        for word in choice.classes:
            if word not in self.classes:
                raise ConfigError(f"predict.classes: there is no class {word}", did_you_mean(word, self.classes))
        self.places = [self.classes.index(name) for name in choice.classes or self.classes]
        self.two = len(self.classes) == len(self.places) == 2
        self.threshold = choice.threshold if choice.threshold is not None else together.threshold
        self.top = min(choice.top, len(self.places))

    @property
    def values(self) -> list[str]:
        """The names of predicted values, in regression."""
        outputs = self.together.members[0].outputs
        return ["predicted"] if outputs == 1 else [f"predicted_{number + 1}" for number in range(outputs)]

    def of(self, inputs: Sequence[str | int], said: Said, reasons: Reasons) -> pl.DataFrame:
        """The rows of some inputs; of those that cannot be used, by their places, only the reason is there."""
        names = inputs if self.numbered else map(_text, inputs)
        found = {"input": pl.Series([*names], dtype=pl.Int64 if self.numbered else pl.String)}
        found |= self._values(said) if self.classes is None else self._chosen(said)
        if reasons:
            used = pl.Series([place not in reasons for place in range(len(inputs))])
            found = {name: column if name == "input" else column.set(~used, None) for name, column in found.items()}
        errors = [reasons.get(place) for place in range(len(inputs))]
        return pl.DataFrame(found | {"error": pl.Series(errors, dtype=pl.String)})

    def _values(self, said: Said) -> dict[str, pl.Series]:
        found = {name: _column(values) for name, values in zip(self.values, said.likely.T, strict=True)}
        if len(self.together) > 1:
            names = [name.replace("predicted", "spread") for name in self.values]
            found |= {name: _column(values) for name, values in zip(names, said.each.std(0).T, strict=True)}
        return found

    def _chosen(self, said: Said) -> dict[str, pl.Series]:
        assert self.classes is not None
        likely = said.likely[:, self.places]
        order = self._ordered(likely, self.top)
        best = likely.gather(1, order)
        names = pl.Series([self.classes[place] for place in self.places], dtype=pl.String)
        found: dict[str, pl.Series] = {}
        for rank in range(self.top):
            word = "predicted" if rank == 0 else ORDINALS[rank - 1]
            chosen = names.gather(pl.Series(order[:, rank].numpy()))
            if rank == 0 and self.threshold is not None and not self.two:
                chosen = chosen.set(pl.Series((best[:, 0] < self.threshold).numpy()), None)
            found[word] = chosen
            found["probability" if rank == 0 else f"{word}_probability"] = _column(best[:, rank])
        if len(self.together) > 1:
            found["agreement"] = _column((self.votes(said) == order[:, 0]).double().mean(0))
        if self.choice.all:
            found |= {f"p_{name}": _column(likely[:, place]) for place, name in enumerate(names)}
        return found

    def votes(self, said: Said) -> Tensor:
        """The class that each member would predict (M, N), by its place among those that are considered."""
        return torch.stack([self._ordered(own[:, self.places], 1)[:, 0] for own in said.each])

    def _ordered(self, likely: Tensor, top: int) -> Tensor:
        """The places of the classes (N, top), the one that is predicted first."""
        if self.two and self.threshold is not None:
            second = (likely[:, 1] >= self.threshold).long()
            return torch.stack([second, 1 - second], 1)[:, :top]
        return likely.argsort(stable=True, dim=1, descending=True)[:, :top]


def are_of_predictions(names: Sequence[str]) -> bool:
    """Whether columns are those of a table of predictions, and of nothing else."""
    return (
        len(names) > 2
        and names[0] == "input"
        and names[1].startswith("predicted")
        and names[-1] == "error"
        and all(map(_OURS.fullmatch, names))
    )


def _text(path: object) -> str:
    """The name of a file as text; the bytes of one that is none are escaped."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _column(values: Tensor) -> pl.Series:
    return pl.Series(values.contiguous().numpy())
