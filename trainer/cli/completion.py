"""Tab completion: the answers to a shell's questions. `trainer completion` gives it the script that asks them."""

import os
import pwd
from collections.abc import Sequence
from contextlib import suppress

from trainer.cli import bash, verbs
from trainer.cli.candidates import candidates
from trainer.cli.shells import SCRIPTS, installed
from trainer.system.errors import ConfigError, did_you_mean

USAGE = "trainer completion install, or trainer completion install bash|zsh|fish"


def command(args: Sequence[str]) -> str:
    """What `trainer completion ARGS` prints: the script of a shell, or what has been installed.

    Raises:
        UserError: There is no such shell, or a file cannot be written.
    """
    words = list(args)
    if "--help" in words or "-h" in words:
        return verbs.help_beside("completion")
    installs = words[:1] == ["install"]
    shells = words[1:] if installs else words
    for shell in shells:
        if shell not in SCRIPTS:
            raise ConfigError(f"'{shell}' is not a shell that trainer completes in", did_you_mean(shell, SCRIPTS))
    if installs:
        return "\n".join(installed(shell) for shell in shells or [_yours()])
    if len(shells) != 1:
        raise ConfigError("tab completion is installed once for a shell", USAGE)
    return SCRIPTS[shells[0]].rstrip("\n")


def answer(args: Sequence[str]) -> str:
    """The answer to `trainer -sc query=SHELL [-- WORDS]`, a candidate per line; the script to `-sc install=SHELL`.

    Bash says in $COMP_LINE and $COMP_POINT what was typed; the others say the words, of which the last is completed.
    Behind a tab stands what is said of the candidate.

    Raises:
        ConfigError: It is not asked for either.
    """
    for arg in args:
        if arg.startswith("install="):  # Hydra's way, as older lines in people's ~/.bashrc have it
            return command([arg.removeprefix("install=")])
        if arg == "query=bash":
            return "\n".join(_in_bash())
        if arg in ("query=zsh", "query=fish"):
            words = [*args[args.index("--") + 1 :]] if "--" in args else []
            *before, word = words[1:] or [""]
            return "\n".join(f"{found.word}\t{found.about}" for found in candidates(before, word))
    raise ConfigError("-sc is what shells ask for tab completion with", USAGE)


def _in_bash() -> list[str]:
    text, end = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "")
    line = bash.read(text[: int(end)] if end.isdecimal() else text, os.environ.get("TRAINER_WORDBREAKS", bash.BREAKS))
    *before, word = line.words[1:] or [""]
    texts = [bash.written(found.word, line, not found.open and not line.quote) for found in candidates(before, word)]
    return [text for text in texts if text is not None]


def _yours() -> str:
    """The shell that you log in with.

    Raises:
        ConfigError: It is none that trainer completes in.
    """
    shell = os.path.basename(os.environ.get("SHELL", ""))
    if not shell:
        with suppress(KeyError):  # a container may have no such user
            shell = os.path.basename(pwd.getpwuid(os.getuid()).pw_shell)
    if shell not in SCRIPTS:
        raise ConfigError(
            f"your shell, '{shell}', is not bash, zsh or fish", "say which: trainer completion install zsh"
        )
    return shell
