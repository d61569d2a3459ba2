"""`trainer predict` in this process, and the table that it leaves."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import Ran

from trainer.cli.main import main

Predict = Callable[..., Ran]


def commanded(capfd: pytest.CaptureFixture[str]) -> Predict:
    """Run `trainer predict ARGS...` in the current directory, in which no table is left of earlier ones."""
    Path("predictions.csv").unlink(missing_ok=True)

    def run(*args: str) -> Ran:
        capfd.readouterr()
        code = main(["predict", *args])
        return Ran(code, *capfd.readouterr())

    return run


def table(path: str = "predictions.csv") -> pl.DataFrame:
    return pl.read_csv(path)
