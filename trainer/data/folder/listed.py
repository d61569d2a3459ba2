"""Images that a table lists, with the class of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from trainer.data.folder.assembling import assembled
from trainer.data.folder.columns import Cells, Columns, chosen
from trainer.data.folder.layout import split_of
from trainer.data.folder.listing import Listing
from trainer.data.folder.lookup import Lookup
from trainer.data.folder.notes import Notes, few
from trainer.data.image import EXTENSIONS, OTHERS
from trainer.data.sets.images import Images
from trainer.data.splits import Dataset, Track
from trainer.data.table import reading
from trainer.data.table.notes import Notes as TableNotes
from trainer.data.table.sheet import Sheet
from trainer.system.errors import DataError
from trainer.system.paths import expanded
from trainer.system.shapes import reads_as_number
from trainer.system.shown import counted, shortened

UNLABELLED = ("", "nan", "null")


def load(config: Images, track: Track[object], trained: Mapping[str, Any] | None = None) -> Dataset:
    """Read the table `path` and the images that it lists, which lie in its folder or in `root`, or below.

    `trained` is what a checkpoint says of the data of its training: its classes are those of these data, too.

    Raises:
        DataError: The table cannot be read, or it cannot be decided which column is what; images are missing, or too
            many cannot be read.
    """
    path = expanded(config.path)
    notes = Notes(path.parent, config.strict)
    sheet = _sheet(config, path, notes)
    root = expanded(config.root) if config.root is not None else path.parent
    if not root.is_dir():
        raise DataError(f"data.root={config.root}: no such folder", "it holds the images that the table lists")
    lookup = Lookup(root, bounded=config.root is None)
    cells = {name: series.to_list() for name, series in sheet.columns.items()}
    columns = chosen(config, sheet, cells, lookup)
    rows = _rows(path, cells, columns, notes)
    known = (trained or {}).get("classes")
    trained_on = [label for _, label, split in rows if split == "train"]
    if not trained_on:
        raise DataError(f"{path} lists no image to train on", f"write train in '{columns.split}' of some rows")
    classes = tuple(known) if known else _classes(path, columns, trained_on)
    if None in (config.image, config.target) or config.split != columns.split:
        by = f", their splits '{columns.split}'" if columns.split is not None else ""
        notes.say(f"{path.name}: the images are '{columns.image}', their classes '{columns.target}'{by}")
    listings = _listings(path, rows, classes, lookup, notes)
    if columns.split is not None and "test" not in listings:
        notes.say(f"{path.name} lists no test split: data.test_fraction of the training split becomes that")
    return assembled(config, root, {"table": str(path.resolve())}, classes, listings, notes, track, trained)


def _rows(path: Path, cells: Cells, columns: Columns, notes: Notes) -> list[tuple[str, str, str]]:
    """The image, the class and the split of each row that has a class; each image once.

    Raises:
        DataError: An image has two classes, or a row is of a split that there is not.
    """
    splits = cells[columns.split] if columns.split is not None else ["train"] * len(cells[columns.image])
    rows: dict[str, tuple[str, str]] = {}
    unlabelled = again = 0
    for image, label, word in zip(cells[columns.image], cells[columns.target], splits, strict=True):
        split = split_of(word)
        if split is None:
            raise DataError(f"{path}: '{shortened(word, 40)}' in '{columns.split}' is no split", "train, val or test")
        if label.casefold() in UNLABELLED or not image:
            unlabelled += 1
        elif image not in rows:
            rows[image] = label, split
        elif rows[image] == (label, split):
            again += 1
        else:
            raise DataError(
                f"{path}: {shortened(image, 60)} is of {' and '.join(rows[image])}, and of {label} and {split}",
                f"keep one row of each image, or say which column has the classes (now data.target={columns.target})",
            )
    for number, what in ((unlabelled, "without an image or a class"), (again, "of an image once more")):
        if number:
            notes.clean(f"{path.name}: {counted(number, 'row')} {what} left out", "remove them")
    return [(image, *rest) for image, rest in rows.items()]


def _classes(path: Path, columns: Columns, labels: Sequence[str]) -> tuple[str, ...]:
    """The classes in order: of numbers, or of the alphabet.

    Raises:
        DataError: There are not two, or nearly every image would have one of its own.
    """
    found = set(labels)
    if len(found) < 2:
        raise DataError(
            f"{path}: '{columns.target}' has {counted(len(found), 'class')} to train on, and two are needed"
        )
    if 2 * len(found) > len(labels):
        raise DataError(
            f"{path}: '{columns.target}' has {len(found):,} different values for {len(labels):,} images: no classes",
            "say which column has the classes: data.target=COLUMN",
        )
    numbers = all(map(reads_as_number, found))
    return tuple(sorted(found, key=lambda label: (float(label) if numbers else 0, label)))


def _listings(
    path: Path, rows: Sequence[tuple[str, str, str]], classes: Sequence[str], lookup: Lookup, notes: Notes
) -> dict[str, Listing]:
    """The images of each split that there is; those that are missing are known to be unreadable."""
    places = {name: index for index, name in enumerate(classes)}
    listings: dict[str, Listing] = {}
    unknown: dict[str, int] = {}
    for image, label, split in rows:
        if label not in places:
            unknown[label] = unknown.get(label, 0) + 1
            continue
        listing = listings.setdefault(split, Listing())
        file = lookup.find(image)
        if file is None:
            listing.skipped.append((image, f"there is no such image in {lookup.root}"))
        elif file.name.lower().endswith(OTHERS):
            listing.skipped.append((file.path, f"{Path(file.path).suffix} is a format that is not read"))
        else:
            listing.files.append(file)
            listing.labels.append(places[label])
    if unknown:
        left = f"{counted(sum(unknown.values()), 'row')} of {few(list(unknown))}"
        notes.clean(f"{path.name}: {left} left out, for training has no such class", "remove them")
    return listings


def _sheet(config: Images, path: Path, notes: Notes) -> Sheet:
    """The table, as text; where it has no header line, the first row is not taken for one."""
    said = TableNotes(path, config.strict)
    sheet = reading.read(path, config.target or "", said, text=True)
    cells = {name: series.cast(pl.String).fill_null("").str.strip_chars() for name, series in sheet.columns.items()}
    if any(name.lower().endswith(EXTENSIONS) for name in cells):
        said.clean("no header line: the columns are numbered from 1", "write one")
        rows = enumerate(cells.items(), start=1)
        cells = {str(number): pl.Series([first, *values]) for number, (first, values) in rows}
    notes.lines += said.lines
    return replace(sheet, columns=cells)
