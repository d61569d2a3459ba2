"""One data set per file, each a `load(config, track) -> Dataset` in memory; `splits` holds the types.

`trainer.config.schema` declares each data set's keys; its registry name is the file's name here.
"""

import importlib
from typing import Any

from trainer.data.splits import Dataset, Track, prepare, untracked


def load(config: Any, track: Track[Any] = untracked) -> Dataset:
    """Load the registered data set `config.name`, limited and split as `config` says.

    Raises:
        DataError: files that are missing, unreadable or not what `config` says.
    """
    module = importlib.import_module(f"trainer.data.sets.{config.name}")
    raw = module.load(config, track)
    assert isinstance(raw, Dataset)
    return prepare(raw, config)
