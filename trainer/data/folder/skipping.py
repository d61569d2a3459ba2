"""Images that cannot be read: a few are left out and listed, many are refused."""

import contextlib
import os
import tempfile
from collections.abc import Sequence

from trainer.data.image import OTHERS
from trainer.system.errors import DataError
from trainer.system.shown import printable

SHARE = 100  # one file in so many may be unreadable
Skipped = tuple[str, str]  # a path, and why it cannot be read


def check_few(skipped: Sequence[Skipped], read: int, there: int, strict: bool) -> None:
    """Check that few of the images that were `read`, of all that are `there`, cannot be read.

    One is few where there are a hundred, also if only some were read.

    Raises:
        DataError: They are too many, or the first one if `strict`.
    """
    few = 0 if strict else max(read // SHARE, min(1, there // SHARE))
    if len(skipped) <= few:
        return
    path, reason = skipped[0]
    if len(skipped) == 1 or strict:
        if path.lower().endswith(OTHERS):
            raise DataError(f"{path}: {reason}", "save it as JPEG or PNG, or remove it")
        raise DataError(f"{path} cannot be read as an image: {reason}", "repair or remove it")
    place = _kept(skipped)
    raise DataError(
        f"{len(skipped):,} of {read:,} images cannot be read, and at most {few:,} would be left out; "
        f"the first: {path}: {reason}",
        f"repair or remove them; all are listed in {place}" if place else "repair or remove them",
    )


def lines(skipped: Sequence[Skipped]) -> str:
    """A list of them as a text: path and reason, separated by a tab."""
    return "".join(f"{printable(path)}\t{printable(reason)}\n" for path, reason in skipped)


def _kept(skipped: Sequence[Skipped]) -> str:
    """Where they are listed while there is no run: a file of its own among the temporary ones; "": nowhere."""
    with contextlib.suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="skipped-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(lines(skipped))
        return path
    return ""
