"""The folder that a profile is left in: a new one, or that of an earlier profile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.run import directory as runs
from trainer.system.atomic import storing
from trainer.system.errors import ConfigError
from trainer.system.paths import resolved

RESULT, PICTURE, TRACE = "profile.json", "profile.png", "trace.json.gz"
FOLDER = "profiles"  # of folders that nobody has named


def check(out: str | None) -> None:
    """Check that `out=` is a place for a profile, before anything is measured.

    Raises:
        ConfigError: It is no folder, or has files that are of no profile.
    """
    if out is None:
        return
    try:
        there = sorted(name for name in os.listdir(resolved(out)) if not name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"profile.out={out}: {reason}", "give a new folder") from error
    others = [name for name in there if name not in (RESULT, PICTURE, TRACE)]
    if others and RESULT not in there:
        few = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise ConfigError(f"profile.out={out}: the folder holds other files ({few})", "give a new one, or an empty one")


@contextmanager
def made(out: str | None, name: str) -> Iterator[Path]:
    """The folder itself, which is there within the block; if that fails, it does not stay empty.

    Raises:
        RunError, StorageError: It cannot be made.
    """
    if out is None:
        path = runs.claim(Path(FOLDER) / name)
    else:
        path = resolved(out)
        with storing(path):
            path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            path.rmdir()  # which removes no folder that has files
        raise
