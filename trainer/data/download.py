"""Data sets that torchvision downloads: one process at a time, and whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainer import schema
from trainer.data.cache import Make, Stored, source_of, stored
from trainer.errors import DataError
from trainer.paths import expanded


def fetch(config: schema.Downloaded, folder: str, open_dataset: Callable[[str, bool], Any]) -> None:
    """Make sure that `config.root/folder` holds the data set.

    `open_dataset(root, download)` opens it with torchvision. It is downloaded into a temporary directory
    beside its place and then renamed, under a lock: processes that start together download once, and one
    that is killed leaves nothing half done.

    Raises:
        DataError: it is not there and cannot be downloaded.
    """
    root = expanded(config.root)
    if (root / folder).is_dir():
        return
    missing = f"{config.name} is not in {root / folder}"
    hint = "give the folder that has it: data.root=DIR, or try data=digits, which needs no download"
    if not config.download:
        raise DataError(f"{missing}, and data.download=false", hint)
    existed = root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{config.name}.lock"):
            if not (root / folder).is_dir():
                part = tempfile.mkdtemp(dir=root, prefix=f".{config.name}.", suffix=".part")
                try:
                    open_dataset(part, True)
                    os.replace(Path(part) / folder, root / folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; torchvision raises RuntimeError
        with contextlib.suppress(OSError):  # other data sets may be there, or on their way
            (root / f".{config.name}.lock").unlink(missing_ok=True)
            if not existed:
                root.rmdir()
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"{missing} and cannot be downloaded: {reason}", hint) from error


def kept(config: schema.Downloaded, folder: str, open_dataset: Callable[[str, bool], Any], make: Make) -> Stored:
    """The data set's cached arrays, made by `make` from the files in `folder` below `config.root`, after `fetch`."""
    fetch(config, folder, open_dataset)
    files = sorted(p for p in (expanded(config.root) / folder).rglob("*") if p.is_file())
    settings = {"name": config.name, "files": str((expanded(config.root) / folder).resolve())}
    return stored(config.cache, config.name, settings, source_of(files, expanded(config.root)), make)


def opened(config: schema.Downloaded, folder: str, open_dataset: Callable[[str, bool], Any]) -> Any:
    """What `open_dataset` gives for the files below `config.root`.

    Raises:
        DataError: the files are there but torchvision refuses them.
    """
    try:
        return open_dataset(str(expanded(config.root)), False)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{config.name} in {Path(config.root) / folder} cannot be read: {reason}",
            "remove that folder to download it again",
        ) from error
