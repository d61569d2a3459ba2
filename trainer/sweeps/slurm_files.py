"""The files by which submitit hands a job to Slurm and gets its result back, as far as they are looked for here."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUBMITTED, RESULT = "_submitted.pkl", "_0_result.pkl"  # after the id of a job
_LINKS = ".submission_file_*"  # to scripts of sbatch


@dataclass(frozen=True)
class Handed:
    """A job of submitit's, `adopted` if an earlier start has handed it over.

    Where its files are is kept as text: a path of submitit's is made anew each time, and hundreds of jobs are looked at
    twice a second.
    """

    job: Any
    result: str
    printed: str
    adopted: bool = False

    @staticmethod
    def of(job: Any, adopted: bool = False) -> "Handed":
        """The job with its files."""
        return Handed(job, str(job.paths.result_pickle), str(job.paths.stdout), adopted)

    @property
    def id(self) -> str:
        return str(self.job.job_id)

    @property
    def errors(self) -> Path:
        """What it has said to standard error."""
        path: Path = self.job.paths.stderr
        return path

    def has_begun(self) -> bool:
        return os.path.exists(self.printed)

    def has_result(self) -> bool:
        return os.path.exists(self.result)


def handed_over(folder: Path) -> dict[str, Path]:
    """The jobs of earlier starts by their ids, with the folder of each, that have neither completed nor left a result.

    Of those that have one, Slurm only tidies up.
    """
    found = {path.name.removesuffix(SUBMITTED): path.parent for path in folder.glob(f"*/*{SUBMITTED}")}
    ended = {path.name.removesuffix(RESULT) for path in folder.glob(f"*/*{RESULT}")}
    return {job: place for job, place in found.items() if job not in ended}


def forget(handed: Handed) -> None:
    """Remove what submitit keeps of a job that has completed, but for what it has printed."""
    paths = handed.job.paths
    printed = [path for path in (paths.stdout, paths.stderr) if _is_empty(path)]
    for path in (paths.submitted_pickle, paths.result_pickle, paths.submission_file, *printed):
        with suppress(OSError):
            path.unlink()


def tidy(folder: Path) -> None:
    """Remove the links to scripts that are no longer there, of each start."""
    for path in folder.glob(f"*/{_LINKS}"):
        with suppress(OSError):
            if path.is_symlink() and not path.exists():
                path.unlink()


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False
