"""Teams that are put together again as they were when their process was killed, as a search needs it.

How a number is rounded depends on what is stacked beside it. So the members of such a team are saved at the same steps:
whenever one of them is, and before one that is over says so. Whenever a kill comes, there is then a step that all the
others have, in last.pt or in previous.pt, and from which on they are the same members as if nobody had killed them.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from trainer import checkpoint
from trainer.sweeps.batched.member import Member
from trainer.sweeps.plan import Planned
from trainer.system.atomic import storing
from trainer.system.errors import TrainerError

Counters = tuple[int, int, int, int]


def secure(members: Sequence[Member]) -> None:
    """Have this step of all members on the disk; one that is over need not be resumed at it."""
    for member in members:
        if member.planned.together and member.error is None:
            member.secure()


def secure_with_one(members: Sequence[Member], step: int) -> None:
    """The same, if one of them has been saved at this step."""
    if any(member.training.checkpoints.step == step for member in members):
        secure(members)


def align(jobs: Sequence[Planned]) -> None:
    """Take jobs that were killed back to the last step that all of them have.

    Where there is no such step, they stay as they are, and are resumed apart.

    Raises:
        StorageError: a directory cannot be written to.
    """
    folders = [job.directory / "checkpoints" for job in jobs if job.together and job.started]
    latest = [_counters(folder / "last.pt") for folder in folders]
    common = min((found for found in latest if found is not None), default=None)
    for folder, found in zip(folders, latest, strict=True):
        if found not in (None, common) and _counters(folder / "previous.pt") == common:
            with storing(folder):
                os.replace(folder / "previous.pt", folder / "last.pt")


def _counters(path: Path) -> Counters | None:
    """Where a checkpoint stands; None if it cannot be read."""
    try:
        kept = checkpoint.read(path).training
        return kept["epoch"], kept["batch"], kept["step"], kept["reported"]
    except (TrainerError, KeyError):
        return None
