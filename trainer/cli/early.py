"""Mistakes in a checked config that can be told without torch, whose import takes longer than all before it.

What is needed later checks the same again, for it is called from Python, too.
"""

from collections.abc import Iterator
from typing import Any

from trainer.checkpoint.location import locate
from trainer.config import devices
from trainer.config.base import Custom
from trainer.run import finished, jobs
from trainer.system.errors import ConfigError, DataError
from trainer.system.paths import expanded

_TABLE = "a table: .csv, .tsv, .txt, .data or .parquet"
_FILES = ("path", "test_path", "val_path")  # keys of data that are files or folders of the user's


def check(verb: str, config: Any) -> None:
    """Check the device, the checkpoints and the paths that a config names.

    Raises:
        UserError: There is no such device, checkpoint, file or folder.
    """
    if verb == "config":  # it may be for another machine
        return
    if (device := getattr(config, "device", None)) is not None:
        devices.check(device)
    if verb not in ("resume", "reproduce"):  # whose runs have been opened already
        for key, place in _checkpoints(config):
            if not jobs.is_sweep(place):
                locate(place, key)
        _check_data(config)
    if verb == "predict":
        from trainer.predict import inputs

        inputs.placed(config.input)


def answered(verb: str, config: Any) -> bool:
    """Whether all that there is to be said has been said: the run that is to be resumed is finished."""
    if verb != "resume":
        return False
    from trainer.show.report import Report

    return finished.told(config, Report()) is not None


def _checkpoints(config: Any) -> Iterator[tuple[str, str]]:
    """The keys that name checkpoints, with each place that they name."""
    for key, value in (("ckpt", getattr(config, "ckpt", None)), ("from", getattr(config, "from_", None))):
        for place in value if isinstance(value, list) else [value]:
            if place is not None:
                yield key, place


def _check_data(config: Any) -> None:
    """Check that files and folders of data that were typed are there."""
    section = getattr(config, "data", None)
    if section is None or isinstance(section, Custom):
        return
    for name in _FILES:
        path = getattr(section, name, None)
        if path is None or not isinstance(path, str):
            continue
        if not path:
            raise ConfigError(f"data.{name}= is empty", f"give data.{name}=..., or leave it out")
        place, folder = expanded(path), section.name == "folder"
        if folder and place.is_file():
            hint = "a table is data=table, and one that lists images data=images"
            raise DataError(f"data.{name}={path} is no folder", hint)
        if not place.exists() and not place.is_symlink():
            hint = "it holds one folder per class, or train/ and test/ with those" if folder else _TABLE
            raise DataError(f"data.{name}={path}: no such {'folder' if folder else 'file'}", hint)
