"""Ranks that would not train the same are told so before the first step."""

from typing import Any

import pytest
import torch

from trainer import __version__
from trainer.engine.ranks import ALONE, Ranks
from trainer.run.ranks import sameness
from trainer.system.errors import ConfigError


class Two(Ranks):
    """A rank beside another on `node2`, which says `other` where this one says `mine`."""

    size = 2

    def __init__(self, mine: str, other: str) -> None:
        self.mine, self.other = mine, other

    def of_all(self, value: Any) -> list[Any]:
        said, host = value
        return [[said, host], [self.other if said == self.mine else said, "node2"]]


def test_the_same_programs_train_together() -> None:
    sameness.check_programs(ALONE)
    sameness.check_programs(Two("none of them", ""))


@pytest.mark.parametrize(("what", "version"), [("trainer", __version__), ("torch", str(torch.__version__))])
def test_other_versions_are_refused(what: str, version: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sameness.check_programs(Two(version, "0.0.1"))
    said = caught.value.message
    assert said.startswith(f"ranks have different versions: {what} {version} on rank 0 (")
    assert said.endswith("), 0.0.1 on rank 1 (node2)")
    assert caught.value.hint == "install the same on all machines"
