"""Paths as people type them."""

import errno
import os
import shlex
import stat
from pathlib import Path

from trainer.system.errors import ConfigError
from trainer.system.shown import is_mark, printable


def expanded(text: str) -> Path:
    """`text` as a path, with `~` and `~user` expanded where no file has just that name.

    Raises:
        ConfigError: there is no such user, or `text` has a zero byte, which no path can have.
    """
    if "\0" in text:
        raise ConfigError(f"{text}: no path has a zero byte in it")
    path = Path(text)
    if not text.startswith("~") or os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text}: no home directory of that name", f"if it is a file here, write ./{text}") from error


def resolved(text: str) -> Path:
    """`text` as the path of a run or sweep; where it is a link to one, which the user has named, where that leads.

    Raises:
        ConfigError: there is no such user, or no path can be like that.
    """
    path = expanded(text)
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:  # a name too long, a link that leads to itself
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{text}: {reason}", "give a run directory, like runs/NAME/2026-01-31_12-00-00") from error


def regular(path: str, flags: int) -> int:
    """An opener for `open`: of a file, or of what a link leads to, but of no pipe or device, which might never end.

    Raises:
        OSError: It is none, or is not there.
    """
    handle = os.open(path, flags | os.O_NONBLOCK, 0o666)
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return handle


def quoted(path: str | Path) -> str:
    """A path as it is typed in a shell, as `$'...'` if it has characters that a screen cannot show."""
    text = str(path)
    if printable(text) == text:
        return shlex.quote(text)
    return "$'" + "".join(_escaped(c) for c in text) + "'"


def argument(path: str | Path) -> str:
    """A path as it is typed in a shell in the place of a word, where `-` at its beginning would make it a flag."""
    return quoted(f"./{path}" if str(path).startswith("-") else path)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if printable(character) == character and not is_mark(character):
        return character
    try:
        encoded = character.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half of a character, which no path has, but a file's text may
        encoded = character.encode(errors="surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in encoded)
