"""The images of each split and the class of each, as they are listed before any is read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from trainer.data.folder.layout import Layout
from trainer.data.folder.notes import Notes, few
from trainer.data.folder.tree import Entry, Inside, inside
from trainer.system.shown import counted

File = os.DirEntry[str] | Path


@dataclass
class Listing:
    """The files of a split and the class index of each; and those that are known to be unreadable, with the reason."""

    files: list[File] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [os.fspath(file) for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> str:
        """The path of a file."""
        return os.fspath(self.files[number])

    def some(self, index: Tensor, skipped: bool) -> "Listing":
        """Those of some numbers, perhaps with those that are known to be unreadable."""
        numbers = index.tolist()
        kept = self.skipped if skipped else []
        return Listing([self.files[n] for n in numbers], [self.labels[n] for n in numbers], kept)


def listed(layout: Layout, notes: Notes) -> dict[str, Listing]:
    """The images of each split, class by class in the order of names; those in folders below a class belong to it.

    Raises:
        DataError: A split has no images that can be read.
    """
    return {split: _listing(folders, notes) for split, folders in layout.folders.items()}


def _listing(folders: Sequence[tuple[int, Path]], notes: Notes) -> Listing:
    found = Listing()
    rest: list[str] = []
    for label, folder in folders:
        images: list[Entry] = []
        below: dict[str, int] = {}
        for part in _walk(folder):
            images += part.images
            if part.path != folder and part.images:
                below[os.fspath(part.path.relative_to(folder))] = len(part.images)
            found.skipped += [(entry.path, f"{_ending(entry)} is a format that is not read") for entry in part.others]
            rest += [notes.name(entry.path) for entry in part.rest]
            _check_case(part.images, notes)
        if below:
            total = sum(below.values())
            belong = f"{counted(total, 'image')} of folders in it belong{'s' * (total == 1)} to it"
            line = f"{notes.name(folder)}: {belong} ({few(list(below))})"
            notes.clean(line, "move them up into it, or remove the folders")
        found.files += images
        found.labels += [label] * len(images)
    if rest:
        notes.say(f"{few(rest, 1)}: no image{'s' * (len(rest) > 1)}, passed over")
    return found


def _walk(folder: Path) -> list[Inside]:
    """The folder of a class and all below it; links to folders that lie in it are not followed."""
    found = inside(folder, links=False)
    return [found, *(part for entry in found.folders for part in _walk(Path(entry)))]


def _ending(entry: Entry) -> str:
    return os.path.splitext(entry.name)[1]


def _check_case(images: Sequence[Entry], notes: Notes) -> None:
    """On macOS and Windows names that differ only in case are one, and a copy of the folder would lose files."""
    seen: dict[str, str] = {}
    for entry in images:
        other = seen.setdefault(entry.name.lower(), entry.name)
        if other != entry.name:
            line = f"{notes.name(entry.path)} and {other} beside it differ only in case: read as two images"
            notes.clean(line, "rename one of them, or remove it if it is a copy")
            return
