"""Ranks do the same before they do it together: their programs, configs and data are compared."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from trainer import __version__
from trainer.data.described import fingerprint
from trainer.engine.ranks import Ranks
from trainer.run.parts import Parts
from trainer.system.errors import ConfigError, DataError, TrainerError

PLACE = ("from", *(f"data.{key}" for key in ("path", "test_path", "val_path", "root")))  # may differ by machine


def check_programs(ranks: Ranks) -> None:
    """Compare the versions of trainer and torch.

    Raises:
        ConfigError: They differ, which all ranks find.
    """

    def wrong(said: str) -> TrainerError:
        return ConfigError(f"ranks have different versions: {said}", "install the same on all machines")

    _check(ranks, "trainer", __version__, wrong)
    _check(ranks, "torch", str(torch.__version__), wrong)


def check(parts: Parts) -> None:
    """Compare what was composed, and the samples that are trained on, where there are several ranks.

    Raises:
        ConfigError, DataError: They differ, which all ranks find.
    """
    if parts.ranks.size == 1:
        return
    same = "start all of them by the same command, with the same ./configs"
    digest = parts.config.digest(PLACE)
    _check(parts.ranks, "config", digest, lambda said: ConfigError(f"ranks have different configs: {said}", same))
    files = "give all machines the same files"
    found = fingerprint(parts.data.train)
    _check(parts.ranks, "samples", found, lambda said: DataError(f"ranks have different data: {said}", files))


def _check(ranks: Ranks, what: str, mine: str, wrong: Callable[[str], TrainerError]) -> None:
    found: Sequence[Any] = ranks.of_all([mine, os.uname().nodename if hasattr(os, "uname") else ""])
    first = found[0]
    for rank, (value, host) in enumerate(found):
        if value != first[0]:
            raise wrong(f"{what} {first[0]} on rank 0 ({first[1]}), {value} on rank {rank} ({host})")
