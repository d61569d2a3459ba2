"""Which columns of a table name images, their classes and their splits, where that is not said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.folder.layout import split_of
from trainer.data.folder.lookup import Lookup
from trainer.data.image import EXTENSIONS
from trainer.data.sets.images import Images
from trainer.data.table.sheet import Sheet
from trainer.system.errors import DataError, listed

CLASS_WORDS = ("label", "labels", "class", "classes", "target", "category")
LOOKED_AT = 50  # cells of a column
Cells = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read."""

    image: str
    target: str
    split: str | None


def chosen(config: Images, sheet: Sheet, cells: Cells, lookup: Lookup) -> Columns:
    """The columns that `config` names, or of which there is no doubt.

    Raises:
        DataError: There is.
    """
    path = sheet.path
    image, target, split = (
        sheet.column(word, f"data.{key}") if word is not None else None
        for key, word in (("image", config.image), ("target", config.target), ("split", config.split))
    )
    image = image or _image(path, cells, lookup)
    others = {name: values for name, values in cells.items() if name not in (image, target, split)}
    split = split or _split(others)
    others.pop(split or "", None)
    return Columns(image, target or _target(path, others), split)


def _image(path: Path, cells: Cells, lookup: Lookup) -> str:
    """The column whose values are files; of several, the one that has their extensions."""
    found = [name for name, values in cells.items() if _names_files(values, lookup)]
    whole = [name for name in found if cells[name][0].lower().endswith(EXTENSIONS)]
    if len(whole) == 1 or len(found) == 1:
        return (whole or found)[0]
    if found:
        raise DataError(f"{path}: images may be named by {listed(found)}", f"say by which: data.image={found[0]}")
    where = f"any of the {len(lookup):,} images" if len(lookup) else "an image, for there is none"
    raise DataError(
        f"{path}: no column names {where} in {lookup.root}",
        "data.root=DIR says where they lie, and data.image=COLUMN where their names are",
    )


def _names_files(values: Sequence[str], lookup: Lookup) -> bool:
    """Whether most of the values of a column are different, and files."""
    some = values[:: max(1, len(values) // LOOKED_AT)]
    return 2 * len(set(some)) > len(some) and 2 * sum(_is_file(value, lookup) for value in some) > len(some)


def _is_file(value: str, lookup: Lookup) -> bool:
    try:
        return lookup.find(value) is not None
    except DataError:  # several files
        return True


def _split(cells: Cells) -> str | None:
    """The column that says `train` and other splits, and nothing else, if there is one."""
    found = []
    for name, values in cells.items():
        words = set(values)
        splits = {split_of(word) for word in words} if len(words) <= 4 else {None}
        if None not in splits and "train" in splits and len(splits) > 1:
            found.append(name)
    return found[0] if len(found) == 1 else None


def _target(path: Path, cells: Cells) -> str:
    """The only column left that may have classes, or the one that is called as classes are."""
    several = [name for name, values in cells.items() if 1 < len(set(values)) <= len(values) / 2]
    called = [name for name in cells if name.casefold() in CLASS_WORDS]
    for names in (called, several, list(cells)):
        if len(names) == 1:
            return names[0]
    if not cells:
        raise DataError(f"{path} has no column of classes", "a column of files and one of classes")
    hint = f"say where: data.target={next(iter(cells))}"
    raise DataError(f"{path}: the classes may be in {listed(list(cells))}", hint)
