"""A directory with two runs, one of images and one of a table, for tests of what is done with runs in Python."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from running import QUICK

from trainer.cli.main import main


def with_runs(here: Path) -> Path:
    """Train on digits and on a table, with missing cells and words, in the directory `here`."""
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"length": rng.normal(size=80), "colour": rng.choice(["red", "green"], 80)})
    frame.loc[::7, "length"] = np.nan
    frame["kind"] = np.where(frame["length"].fillna(0) > 0, "long", "short")
    frame.to_csv(here / "things.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("TRAINER_CACHE", str(here / "cache"))
        for words in (("name=digits",), ("name=table", "data=table", "data.path=things.csv", "data.target=kind")):
            assert main(["train", *QUICK, *words]) == 0
    return here


def only(folder: Path) -> Path:
    """The one thing that lies in a folder."""
    (found,) = folder.iterdir()
    return found
