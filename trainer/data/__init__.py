"""Data sets: one per file in `sets/`, with its keys and a `load(config, track)`; `splits` holds the types.

Nothing here imports torch before a data set is loaded, for a config is checked before.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


def load(
    config: Any,
    track: "Track[Any] | None" = None,
    trained: Mapping[str, Any] | None = None,
    whole: bool = False,
) -> "Dataset":
    """Load the data set `config.name`, limited and split as `config` says; `track` shows progress.

    `trained` is what a checkpoint says of the data that its model was trained on (`trainer.data.described`): a data set
    that `adapts` is read as that was. A `whole` data set is not split: all of it is in the training split.

    Raises:
        DataError: files are missing, unreadable or not what `config` says.
    """
    from trainer.data.preparing import prepare
    from trainer.data.splits import Dataset, untracked

    module = importlib.import_module(f"trainer.data.sets.{config.name}")
    adapting = {"trained": trained} if config.adapts and trained is not None else {}
    raw = module.load(config, track or untracked, **adapting)
    assert isinstance(raw, Dataset)
    if whole:
        from trainer.data.whole import undivided

        raw = undivided(raw)
    return prepare(raw, config)
