"""What lies in a folder and below it: folders, images, and the rest. Hidden files and folders are never looked at."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.image import EXTENSIONS, OTHERS

LITTER = ("thumbs.db", "desktop.ini", "__macosx")  # that systems leave everywhere: not worth a word
Entry = os.DirEntry[str]


@dataclass
class Inside:
    """The entries of one folder, each kind in the order of names.

    `others` are images by their names, of formats that are not read; `rest` is all else.
    """

    path: Path
    folders: list[Entry] = field(default_factory=list)
    images: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    rest: list[Entry] = field(default_factory=list)


def inside(path: Path, links: bool = True) -> Inside:
    """What lies in the folder `path`; with `links`, a link to a folder counts as one."""
    found = Inside(path)
    with os.scandir(path) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        name = entry.name.lower()
        if name.startswith(".") or name in LITTER:
            continue
        if _is_folder(entry) and (links or not entry.is_symlink()):
            found.folders.append(entry)
        elif name.endswith(EXTENSIONS) and not _is_folder(entry):
            found.images.append(entry)
        elif name.endswith(OTHERS):
            found.others.append(entry)
        else:
            found.rest.append(entry)
    return found


def has_images(path: str) -> bool:
    """Whether there is an image in the folder or below it; links to folders that lie in it are not followed."""
    below = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name.lower()
            if name.startswith(".") or name in LITTER:
                continue
            if not _is_folder(entry):
                if name.endswith((*EXTENSIONS, *OTHERS)):
                    return True
            elif not entry.is_symlink():
                below.append(entry.path)
    return any(map(has_images, below))


def _is_folder(entry: Entry) -> bool:
    """Whether it is a folder, or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def with_images(found: Inside) -> list[Entry]:
    """The folders in a folder that have images in them or below them."""
    return [entry for entry in found.folders if has_images(entry.path)]
