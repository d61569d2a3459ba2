"""Which file `ckpt=` means."""

import difflib
from pathlib import Path

from trainer.system.errors import CheckpointError
from trainer.system.paths import expanded

CHECKPOINTS = "checkpoints"  # their folder in a run
CALIBRATED = "calibrated.pt"  # one of the others, with what `trainer eval` has fitted to it
_NAMES = (CALIBRATED, "best.pt", "last.pt", "previous.pt")


def locate(ckpt: str, key: str = "ckpt") -> Path:
    """The checkpoint file that `key`= means: a file, or a run directory's calibrated.pt, best.pt or else last.pt.

    Raises:
        CheckpointError: there is none.
    """
    path = expanded(ckpt)
    try:
        path.stat()
    except OSError as error:
        hint = _near(path) if isinstance(error, FileNotFoundError) and not path.is_symlink() else ""
        raise CheckpointError(f"{key}={ckpt}: {(error.strerror or 'cannot be read').lower()}", hint) from error
    if path.is_dir():
        for candidate in [folder / name for folder in (path / CHECKPOINTS, path) for name in _NAMES]:
            if candidate.is_file():
                if not candidate.resolve().is_relative_to(path.resolve()):
                    raise CheckpointError(f"{candidate} is a link that leads out of the run", "give the file itself")
                return candidate
        raise CheckpointError(
            f"{key}={ckpt}: a directory without a run (no checkpoints/best.pt or last.pt)",
            "give a run directory, like runs/NAME/2026-01-31_12-00-00, or a checkpoint file",
        )
    if not path.is_file():
        raise CheckpointError(f"{key}={ckpt}: not a regular file")
    return path


def run_of(path: Path) -> Path | None:
    """The directory of the run that the checkpoint `path` is of, as far as its name tells."""
    return path.parent.parent if path.name in _NAMES and path.parent.name == CHECKPOINTS else None


def calibrated(path: Path) -> Path:
    """The file for what is fitted to the checkpoint `path`: calibrated.pt in a run, else one that is called like it."""
    if run_of(path) is not None:
        return path.with_name(CALIBRATED)
    return path if path.name.endswith(CALIBRATED) else path.with_name(f"{path.stem}.{CALIBRATED}")


def _near(path: Path) -> str:
    """A hint for a path that does not exist: what does exist beside it."""
    parent = path.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    entries = sorted(p.name for p in parent.iterdir() if not p.name.startswith(".")) if parent.is_dir() else []
    close = difflib.get_close_matches(path.name, entries, n=1) if parent == path.parent else []
    if close or not entries:
        return f"did you mean {parent / close[0]}?" if close else ""
    return f"{parent} has: {', '.join(entries[:6])}{', ...' if len(entries) > 6 else ''}"
