"""A path in the place of a data set: `data=./photos` is a folder of images, and `data=houses.csv` is a table."""

import os
import re
from pathlib import Path
from typing import Any

from trainer.config.choices import group_choices
from trainer.system.errors import DataError, did_you_mean
from trainer.system.paths import expanded, regular

TABLES = (".csv", ".tsv", ".tab", ".txt", ".data", ".parquet")  # what `data=table` reads, by its name
_AS_CSV = (".xlsx", ".xls", ".ods", ".json", ".jsonl", ".feather", ".arrow", ".sqlite", ".db", ".sav", ".dta")
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z", ".bz2", ".xz")
_IMAGE = re.compile(rb"\.(jpe?g|jpe|jfif|png|bmp|webp|gif|tiff?|p[pgbn]m)[\"']?\s*[,;\t|\n\r]", re.IGNORECASE)
_BEGINNING = 2**14  # bytes of a table in which files of images are looked for


def is_path(word: str) -> bool:
    """Whether what was typed as a data set is a path: no choice is called so, and it is there or looks like one."""
    if not word or word in group_choices("data"):
        return False
    return os.path.exists(os.path.expanduser(word)) or looks_like_one(word)


def looks_like_one(word: str) -> bool:
    """Whether a word can only be meant as a path: it has folders in it, or the ending of a file."""
    endings = (*TABLES, *_AS_CSV, *_PACKED)
    return os.sep in word.strip(os.sep) or word.startswith((os.sep, "./", "~/", "..")) or word.endswith(endings)


def taken(path: str, described: bool) -> tuple[list[str], str]:
    """The overrides that a path in the place of a data set stands for, and what it is.

    Where the data are `described` by a checkpoint, a table is another one of the same columns.

    Raises:
        DataError: There is nothing, or it is neither a folder nor a table.
    """
    place = expanded(path)
    if place.is_dir():
        return ["data=folder", f"data.path={path}"], "a folder of images"
    if not place.exists():
        raise DataError(f"data={path}: no such file or folder", _near(place))
    name = place.name.lower()
    if name.endswith(_PACKED):
        raise DataError(f"data={path} is packed", "unpack it: data=FOLDER, with the images of each class in a folder")
    if name.endswith(_AS_CSV):
        raise DataError(f"data={path}: this kind of table is not read", "save it as .csv or .parquet: data=FILE.csv")
    if _IMAGE.search(f"{name}\n".encode()):
        raise DataError(
            f"data={path} is one image", "give the folder: data=FOLDER, with the images of each class in one"
        )
    if not name.endswith(TABLES):
        raise DataError(f"data={path} is neither a folder nor a table", f"tables are {', '.join(TABLES)}")
    if described:
        return [f"data.path={path}"], "other data of the same kind"
    if _lists_images(place):
        return ["data=images", f"data.path={path}"], "a table of images"
    return ["data=table", f"data.path={path}"], "a table"


def columns(path: Any) -> list[str]:
    """The names in the first line of a table in text, as far as they can be told without reading it as a table."""
    if not isinstance(path, str) or path.lower().endswith(".parquet"):
        return []
    try:
        with open(expanded(path), "rb", opener=regular) as file:
            line = file.read(_BEGINNING).partition(b"\n")[0].decode("utf-8-sig")
    except (OSError, ValueError):
        return []
    separator = max(",;\t|", key=line.count)
    names = [name.strip().strip("\"'") for name in line.split(separator)]
    return names if len(names) > 1 and all(names) else []


def _lists_images(path: Path) -> bool:
    """Whether files of images are named in the first lines of a table in text."""
    try:
        with open(path, "rb", opener=regular) as file:
            return len(_IMAGE.findall(file.read(_BEGINNING))) > 1
    except OSError:
        return False  # reading it says what is wrong


def _near(path: Path) -> str:
    """What lies where nothing of that name does."""
    try:
        there = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return "data=FOLDER takes a folder of images, and data=FILE.csv a table"
    return did_you_mean(path.name, there, "data=FOLDER takes a folder of images, and data=FILE.csv a table")
