"""Images in one folder per class."""

from collections.abc import Mapping
from typing import Any

from trainer.data.folder.assembling import assembled
from trainer.data.folder.layout import find
from trainer.data.folder.listing import listed
from trainer.data.folder.notes import Notes
from trainer.data.sets.folder import Folder
from trainer.data.splits import Dataset, Track
from trainer.system.errors import DataError
from trainer.system.paths import expanded

WHERE = "say where it lies now, or which data of its kind to take: data.path=DIR"


def load(config: Folder, track: Track[object], trained: Mapping[str, Any] | None = None) -> Dataset:
    """Read `path/train/CLASS/*`, `path/test/CLASS/*` and perhaps `path/val/CLASS/*`; or split `path/CLASS/*` at random.

    `trained` is what a checkpoint says of the data of its training: its classes are those of these data, too.

    Raises:
        DataError: The folder is missing, has fewer than two classes, or it cannot be decided what is what in it; or
            too many images cannot be read.
    """
    path = expanded(config.path)
    if not path.is_dir():
        if path.exists():
            hint = "for a table of images and their classes: data=images"
            raise DataError(f"data.path={config.path} is no folder", hint)
        hint = "it holds one folder per class, or train/ and test/ with those"
        raise DataError(f"data.path={config.path}: no such folder", hint if trained is None else WHERE)
    notes = Notes(path, config.strict)
    layout = find(path, (trained or {}).get("classes"), notes)
    return assembled(config, path, {}, layout.classes, listed(layout, notes), notes, track, trained)
