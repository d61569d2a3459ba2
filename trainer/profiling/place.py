"""The folder that a profile is left in: a new one, or that of an earlier profile."""

import os
from pathlib import Path

from trainer.run import directory as runs
from trainer.system.atomic import storing
from trainer.system.errors import ConfigError
from trainer.system.paths import resolved

RESULT, PICTURE = "profile.json", "profile.png"
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
    if there and RESULT not in there:
        few = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        raise ConfigError(f"profile.out={out}: the folder holds other files ({few})", "give a new one, or an empty one")


def made(out: str | None, name: str) -> Path:
    """The folder itself, which is there then.

    Raises:
        RunError, StorageError: It cannot be made.
    """
    if out is None:
        return runs.claim(Path(FOLDER) / name)
    path = resolved(out)
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path
