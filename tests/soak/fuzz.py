"""Every kind of file in a run, a sweep and a search with thousands of seeded changes, and the commands that read it."""

from collections.abc import Callable
from pathlib import Path

from .directories import bases
from .directories.kinds import kinds
from .figures import Figures
from .strangers import judged

COUNT = 5_000  # of each kind


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Whatever is changed in a file, nothing runs, leaks, crashes or hangs: so many cases of each kind of file."""
    made = bases.made(folder / "bases")
    parts = [
        (name, [(f"{name}, {number}", kind.case(number, name)) for number in range(count)])
        for name, kind in kinds(made).items()
    ]
    return judged(parts, made, folder, say)
