"""Which commit the user's project was at, and whether it was clean: asked of git while the data are read.

The project may be a stranger's, and git runs what a repository's own config names: a monitor of files, filters of their
content, submodules. They are switched off, or that question is not asked.
"""

import os
import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGKILL

PATIENCE = 1.0  # seconds that git may take in all; in a very large repository it is then not known what has changed
AT_LEAST = 0.1  # seconds to take up an answer, which has long been there as a rule
FRESH = 5.0  # seconds for which an answer is good: a sweep may begin many jobs at once

# It says the commit, whether something has changed, and a dot where it has come to its end. Of a repository that has
# programs run on its files, or that fetches what is missing from elsewhere, only the commit is asked for.
QUESTION = """git rev-parse --verify HEAD || exit
found=$(git config --show-scope --get-regexp '^(filter[.]|extensions[.]partialclone|remote[.].*[.]promisor)')
[ $? -le 1 ] || exit
printf '%s\\n' "$found" | grep -Eq '^(local|worktree)' && exit
changes=$(git -c core.fsmonitor=false status --porcelain --untracked-files=no --ignore-submodules=all) || exit
echo "${changes:+changed}"
echo ."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Project:
    """A commit, and whether tracked files differ from it; None: that is not known."""

    commit: str
    changed: bool | None

    def __str__(self) -> str:
        state = {None: "perhaps changed", True: "changed", False: "clean"}[self.changed]
        return f"{self.commit[:12]}, {state}"


class Look:
    """A look at the project in the current directory, which goes on beside the caller."""

    def __init__(self, place: str) -> None:
        self.place, self.begun = place, time.monotonic()
        self._answer: Project | None = None
        self._process: subprocess.Popen[str] | None = None
        environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        with suppress(OSError, ValueError):  # there is no shell
            self._process = subprocess.Popen(
                ["sh", "-c", QUESTION],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                env=environment,
                cwd=place,
                start_new_session=True,  # Ctrl-C is for the training; and a slow git can be ended with all it started
            )

    def answer(self) -> Project | None:
        """What git has said within its time; None where there is no git, or no project."""
        process, self._process = self._process, None
        if process is None:
            return self._answer
        left = PATIENCE - (time.monotonic() - self.begun)
        try:
            said, _ = process.communicate(timeout=max(AT_LEAST, left))
        except subprocess.TimeoutExpired as late:
            _end(process)
            said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        self._answer = _read(said.splitlines())
        return self._answer


def _end(process: "subprocess.Popen[str]") -> None:
    with suppress(OSError):
        os.killpg(process.pid, SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()


def _read(lines: list[str]) -> Project | None:
    if not lines or not _COMMIT.fullmatch(lines[0]):
        return None
    changed = {"changed": True, "": False}.get(lines[1]) if lines[2:] == ["."] else None
    return Project(lines[0], changed)


_latest: Look | None = None


def look() -> Look:
    """Begin to look at the project in the current directory, or take a look of a moment ago."""
    global _latest
    try:
        place = os.getcwd()
    except OSError:  # it is gone; the training says so where it matters
        place = ""
    if _latest is None or _latest.place != place or time.monotonic() - _latest.begun > FRESH:
        if _latest is not None:
            _latest.answer()  # perhaps nobody has asked for it
        _latest = Look(place)
    return _latest
