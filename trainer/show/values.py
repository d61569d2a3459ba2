"""Figures as people read them: durations, metrics and their intervals. It needs no torch."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from trainer.engine.measures import measure

_NONE: Mapping[str, Any] = MappingProxyType({})
_NUMBER = r"[-+]?[\d.,]+(e[-+]?\d+)?%?"


def duration(seconds: float) -> str:
    """`4.2 s`, `3:05` or `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def metric(name: str, value: float) -> str:
    """A metric as people read it: shares in percent."""
    return f"{100 * value:.2f}%" if measure(name).percent else f"{value:.4g}"


def metrics(values: Mapping[str, float], spans: Mapping[str, Sequence[float]] = _NONE) -> str:
    """Several metrics in one line, without the split before their names; those with `spans`, with these."""
    return ", ".join(f"{name.split('/')[-1]} {spanned(name, value, spans)}" for name, value in values.items())


def spanned(name: str, value: float, spans: Mapping[str, Sequence[float]]) -> str:
    """A metric, with its interval if it has one: `96.91% (96.55% to 97.24%)`."""
    return metric(name, value) + (f" ({span(name, spans[name])})" if name in spans else "")


def span(name: str, ends: Sequence[float]) -> str:
    """An interval of a metric: `96.55% to 97.24%`."""
    return " to ".join(metric(name, end) for end in ends)


def is_number(text: str) -> bool:
    """Whether a cell of a table is a number, which is aligned to the right; a missing one counts as such."""
    return re.fullmatch(rf"{_NUMBER}( (±|\+-) {_NUMBER})?|-?|nan", text) is not None


def device(compute: object, ranks: int, compiled: str = "") -> str:
    """Where something is computed, and how the steps of a training are `compiled`; by each of several ranks."""
    return f"{compute}{compiled}" + (f", each of {ranks} ranks" if ranks > 1 else "")
