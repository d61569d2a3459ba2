"""Files, folders and runs that begin with what was typed."""

import os
from collections.abc import Iterator
from pathlib import Path

LATEST = "latest"  # as `trainer.compare.latest` understands it
_RUNS = "runs"  # where they are made unless `output=` says otherwise
_NEWEST = 10  # runs that are offered where nothing was typed
_LOOKED_AT = 5000  # folders: a file system may be slow
_OF_RUNS = ("config.yaml", "sweep.jsonl")  # one of them is in a run or a sweep
_CHECKPOINTS = (".pt", ".pth", ".ckpt", ".tar", ".bin", ".safetensors")


def paths(typed: str, folders: bool = False) -> Iterator[str]:
    """The files and folders whose path begins with `typed`, a folder with `/` at its end; or only the folders."""
    for entry, path in _entries(typed):
        if _is_folder(entry):
            yield f"{path}/"
        elif not folders:
            yield path


def runs(typed: str) -> Iterator[tuple[str, str]]:
    """Runs, sweeps and checkpoint files, and the folders that lead to some, whose path begins with `typed`.

    Where nothing was typed, the newest runs come, too. Beside each stands what it is.
    """
    if LATEST.startswith(typed):
        yield LATEST, "the newest run"
    if not typed:
        yield from ((path, "run" if kind == "config.yaml" else "sweep") for path, kind in _newest())
    for entry, path in _entries(typed):
        if _is_folder(entry):
            kind = next((name for name in _OF_RUNS if os.path.isfile(os.path.join(entry.path, name))), None)
            yield (f"{path}/", "") if kind is None else (path, "run" if kind == "config.yaml" else "sweep")
        elif entry.name.endswith(_CHECKPOINTS):
            yield path, "checkpoint"


def _newest() -> list[tuple[str, str]]:
    """The newest runs and sweeps, by the times that their folders are called."""
    found = []
    patterns = [f"*/*/{_OF_RUNS[0]}", f"sweeps/*/*/{_OF_RUNS[1]}"]
    for pattern in patterns:
        for number, file in enumerate(Path(_RUNS).glob(pattern)):
            if number >= _LOOKED_AT:
                break
            found.append((file.parent.name, str(file.parent), file.name))
    return [(path, kind) for _, path, kind in sorted(found, reverse=True)[:_NEWEST]]


def _entries(typed: str) -> "Iterator[tuple[os.DirEntry[str], str]]":
    """What lies in the folder that was typed and begins with what follows it, and its path as it would be typed."""
    above, _, start = typed.rpartition("/")
    above = f"{above}/" if "/" in typed else ""
    try:
        with os.scandir(os.path.expanduser(above) or ".") as entries:
            found = sorted((entry for entry in entries if entry.name.startswith(start)), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if start.startswith(".") or not entry.name.startswith("."):
            yield entry, f"{above}{entry.name}"


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
