"""The files of a directory that may be a stranger's: they are opened through no link, never waited for, and bounded.

A directory that somebody has unpacked may hold a link where a file should be, which leads to any other file of the
user's, or a pipe that nobody writes to. `open(path, mode, opener=unlinked)` opens neither.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINK = "it is a link, or in a folder that is one"
_DEEPEST = 50  # levels of brackets in a JSON or YAML text
_DIGITS = 40  # of a whole number


def unlinked(path: str, flags: int) -> int:
    """An opener for `open`: the last two parts of `path`, a file and its folder, must not be links.

    Raises:
        OSError: They are links, or the file is none, but a folder, a pipe or a device.
    """
    folder, name = os.path.split(path)
    try:
        parent = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) or (error.errno == errno.ENOTDIR and os.path.islink(folder)):
            raise OSError(errno.ELOOP, _LINK, path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return handle


def content(path: Path, longest: int) -> bytes:
    """The bytes of a file, at most `longest`.

    Raises:
        OSError: It is not there, or is no file, as in `unlinked`.
        ValueError: It is longer.
    """
    with open(path, "rb", opener=unlinked) as file:
        found = file.read(longest + 1)
    if len(found) > longest:
        raise ValueError(f"it is longer than {longest / 2**20:g} MiB")
    return found


def head(path: Path, length: int) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: It is not there, or is no file.
    """
    with open(path, "rb", opener=unlinked) as file:
        return file.read(length)


def tail(path: Path, length: int) -> str:
    """The last bytes of a file as text, whatever they are.

    Raises:
        OSError: It is not there, or is no file.
    """
    with open(path, "rb", opener=unlinked) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - length))
        return file.read(length).decode(errors="replace")


def parsed(written: str | bytes) -> Any:
    """The value of a JSON text, of bounded depth and with numbers that a computer can hold.

    Raises:
        ValueError: It is not such a text.
    """
    try:
        found = json.loads(written, parse_int=_whole, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    if deeper(found, _DEEPEST):
        raise ValueError("it is nested too deeply")
    return found


def json_of(path: Path, longest: int) -> Any:
    """The value of a JSON file.

    Raises:
        OSError, ValueError: As in `content` and `parsed`.
    """
    return parsed(content(path, longest))


def yaml_of(path: Path, longest: int) -> str:
    """The text of a YAML file that unfolds to no more than it says: trainer writes no aliases, and nests little.

    Raises:
        OSError, ValueError: As in `content`; or it has aliases, or is nested too deeply.
        yaml.YAMLError: It is no YAML.
    """
    import yaml  # late: not every command reads such a file

    written = content(path, longest).decode()
    levels = 0
    for event in yaml.parse(written, Loader=yaml_loader()):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases")
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > _DEEPEST:
            raise ValueError("it is nested too deeply")
    return written


def yaml_loader() -> Any:
    """PyYAML's safe loader; that in C, where it was built, is ten times as fast."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def deeper(value: Any, levels: int) -> bool:
    """Whether lists and dictionaries are nested more than so many levels deep."""
    layer = [value]
    for _ in range(levels):
        layer = [part for outer in layer for part in _parts(outer)]
        if not layer:
            return False
    return True


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield from (p for p in (value.values() if isinstance(value, dict) else value) if isinstance(p, dict | list))


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("it has a number of too many digits")
    return int(digits)


def _no_number(word: str) -> float:
    raise ValueError(f"it has {word}, which is no number of JSON")
