"""Which way an objective is better."""

from typing import Literal

Direction = Literal["min", "max"]


def direction(name: str) -> Direction:
    """That of a metric by its name: losses and errors are better when small."""
    return "max" if name.endswith(("accuracy", "top5", "r2")) else "min"
