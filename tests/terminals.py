"""Shells on a terminal of their own, in which a line is typed and Tab is pressed, as a person does it."""

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

SHOW = "\x14"  # Ctrl-T, by which the shell is told to show the line that it holds
_SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        """bind -x '"\\C-t": printf "<<<%s>>>" "$READLINE_LINE"'; bind 'set bell-style none'""",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        """show() { print -rn -- "<<<$BUFFER>>>" }; zle -N show; bindkey '^T' show; PROMPT=""",
    ),
}


def program(folder: Path) -> Path:
    """A folder with a command `trainer` in it, that of the code being tested."""
    folder.mkdir()
    command = folder / "trainer"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m trainer "$@"\n')
    command.chmod(0o755)
    return folder


def needs(shell: str) -> "pytest.MarkDecorator":
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


class Terminal:
    """A shell with the tab completion that `setup` installs; `environment` goes before that of the tests."""

    LIMIT = 60.0

    def __init__(self, shell: str, setup: str, cwd: Path, environment: dict[str, str]) -> None:
        command, show = _SHELLS[shell]
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            fixed = {"TERM": "xterm", "HISTFILE": "/dev/null", "LC_ALL": "C.UTF-8", "PS1": ""}
            os.execvpe(command[0], command, {**os.environ, **fixed, **environment})
        self._type(f"{setup}; {show}; echo READY''NOW\n")
        self._until("READYNOW")

    def completed(self, line: str) -> str:
        """What the line becomes when Tab is pressed at its end."""
        self._type(f"{line}\t{SHOW}")
        found = re.findall(r"<<<(.*?)>>>", self._until(">>>"), re.DOTALL)
        self._type("\x05\x15")  # to its end, and all of it is thrown away
        return found[-1]

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._terminal)
        os.waitpid(self._pid, 0)

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _until(self, mark: str) -> str:
        seen, end = b"", time.monotonic() + self.LIMIT
        while mark.encode() not in seen:
            assert time.monotonic() < end, seen
            if select.select([self._terminal], [], [], 0.2)[0]:
                seen += os.read(self._terminal, 2**16)
        return seen.decode(errors="replace")
