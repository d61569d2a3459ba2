"""A condition on a metric, as `until=` takes it: `val/accuracy>0.99`."""

import operator
import re
from dataclasses import dataclass

from trainer.engine.state import Row
from trainer.system.errors import ConfigError

_COMPARED = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_FORM = re.compile(r"\s*([a-z]+/\w+)\s*(>=|<=|>|<)\s*([-+.\de]+)(%?)\s*")


@dataclass(frozen=True)
class Condition:
    """That the metric `name` is, say, above a `value`."""

    name: str
    sign: str
    value: float

    @classmethod
    def of(cls, text: str) -> "Condition":
        """The condition that a text like `val/loss<0.1` says; 99% is 0.99.

        Raises:
            ConfigError: it says none.
        """
        found = _FORM.fullmatch(text)
        try:
            value = float(found[3]) if found else None
        except ValueError:
            value = None
        if found is None or value is None:
            raise ConfigError(f"until={text}: not a condition on a metric", "like until='val/accuracy>0.99'")
        return cls(found[1], found[2], value / 100 if found[4] else value)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value:g}"

    @property
    def kind(self) -> str:
        """The measure, whatever split it is of."""
        return self.name.rpartition("/")[2]

    def holds(self, row: Row) -> bool:
        """Whether a row has the metric, and it is so."""
        found = row.get(self.name)
        return found is not None and bool(_COMPARED[self.sign](found, self.value))
