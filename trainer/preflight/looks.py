"""The looks of `trainer check`: each is a module in the folder of its area, and is there because it lies there.

A module has a line `ABOUT`, which says what is looked at while that takes its time, and a function
`look(subject) -> Iterator[Finding]`, which yields nothing where there is nothing to look at. It imports what is heavy
in that function. This module imports none of them, for a command line is checked before torch is imported.
"""

import importlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trainer.preflight.finding import Finding

if TYPE_CHECKING:
    from trainer.preflight.subject import Subject

AREAS = {
    "data": "data",
    "model": "model",
    "rate": "learning rate",
    "machine": "machine",
    "ranks": "several processes",
}  # in the order in which they are looked at, with what they are called
_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Look:
    """A look by its area and its name, `data.balance` say."""

    area: str
    name: str

    @property
    def about(self) -> str:
        """What is looked at."""
        return str(self._module.ABOUT)

    @property
    def look(self) -> "Callable[[Subject], Iterator[Finding]]":
        """What looks."""
        found: Callable[[Subject], Iterator[Finding]] = self._module.look
        return found

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"trainer.preflight.{self.area}.{self.name}")


@cache
def every() -> tuple[Look, ...]:
    """All looks, area by area."""
    return tuple(
        Look(area, path.stem)
        for area in AREAS
        for path in sorted((_PACKAGE / area).glob("*.py"))
        if path.stem != "__init__"
    )


def names() -> tuple[str, ...]:
    """What `check.only` may name: areas, and looks by their own names."""
    return (*AREAS, *(look.name for look in every()))


def chosen(only: Collection[str]) -> list[Look]:
    """The looks in these areas, and of these names; without any, all of them."""
    return [look for look in every() if not only or look.area in only or look.name in only]
