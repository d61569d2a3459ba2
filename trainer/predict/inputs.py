"""What `input=` means: images, folders and patterns of them for a model of images, tables for one of columns."""

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain

from trainer.data.image import EXTENSIONS, OTHERS
from trainer.predict.walking import PassedOver, images_below, is_pattern, matching
from trainer.system.errors import DataError
from trainer.system.paths import expanded

STDIN = "-"
_TABLES = (".csv", ".tsv", ".tab", ".parquet", ".jsonl", ".json", ".xlsx", ".xls", ".data")


def placed(words: Sequence[str]) -> list[str]:
    """The inputs as paths, with `~` expanded; each is there, or is a pattern.

    Raises:
        DataError: One is not there, or there is none.
    """
    if not words:
        raise DataError("input=[] is empty", "give an image, a folder, a pattern, a table, or - for standard input")
    paths = [word if word == STDIN else os.fspath(expanded(word)) for word in words]
    for word, path in zip(words, paths, strict=True):
        if path == STDIN or is_pattern(path):
            continue
        try:
            os.stat(path)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise DataError(f"input={word}: {reason}", "an image, a folder, a pattern, a table, or -") from error
    return paths


def images(paths: Sequence[str], model: str, passed_over: PassedOver) -> Iterator[str]:
    """The files of images that the inputs stand for, found while they are asked for.

    Raises:
        DataError: One is a table, which a `model` of images does not take; or no image is found.
    """
    for path in paths:
        if path == STDIN or path.lower().endswith(_TABLES):
            what = "standard input is read as a table" if path == STDIN else f"{path} is a table"
            raise DataError(f"{model} is a model of images, and {what}", "give it an image, or a folder of images")
    found = chain.from_iterable(_files(path, passed_over) for path in paths)
    first = next(found, None)
    if first is None:
        others = f"; {passed_over.first} is none by its name" if passed_over.count else ""
        raise DataError(f"input={' '.join(paths)}: there is no image{others}", f"images are {', '.join(EXTENSIONS)}")
    return chain([first], found)


def tables(paths: Sequence[str], model: str) -> list[str]:
    """The files of tables that the inputs stand for.

    Raises:
        DataError: One is an image or a folder, which a `model` of columns does not take; or no file matches a pattern.
    """
    found = []
    for path in paths:
        here = [path] if path == STDIN or os.path.lexists(path) else [*matching(path)]
        if not here:
            raise DataError(f"input={path}: no file matches", "put the pattern into quotes, and look at its folder")
        found += here
    for path in found:
        if path.lower().endswith((*EXTENSIONS, *OTHERS)) or os.path.isdir(path):
            what = "a folder" if os.path.isdir(path) else "an image"
            raise DataError(f"{model} is a model of the columns of a table, and {path} is {what}", "give it a table")
    if found.count(STDIN) > 1:
        raise DataError("input=- is given twice, and standard input is read once", "give it once")
    return found


def _files(path: str, passed_over: PassedOver) -> Iterator[str]:
    try:
        if os.path.lexists(path):
            yield from images_below(path, passed_over) if os.path.isdir(path) else [path]
            return
        for file in matching(path):
            if not _is_folder(file):
                yield from [file] if _is_image(file) else _noted(file, passed_over)
            elif "**" not in path:  # which finds what lies in folders itself
                yield from images_below(file, passed_over)
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _is_image(path: str) -> bool:
    return path.lower().endswith((*EXTENSIONS, *OTHERS))


def _noted(path: str, passed_over: PassedOver) -> Iterator[str]:
    passed_over.add(path)
    return iter(())


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False
