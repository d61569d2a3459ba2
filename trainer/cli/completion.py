"""Tab completion: the verbs, and the choices and keys of each. Hydra's own would take the verb for an override."""

import glob
import os
import re
from collections.abc import Sequence

from trainer.cli import arguments
from trainer.cli.showing import by_hydra
from trainer.config import registry
from trainer.config.composition import compose, group_choices, ready
from trainer.config.written import plain
from trainer.system.errors import ConfigError, TrainerError

# The scripts of bash and zsh hand the candidates to `compgen -W`, which runs what a file is called: `$(rm x)`, say.
_INERT = re.compile(r"[\w.,/@%+=:~-]*")


def complete(args: Sequence[str]) -> int:
    """Answer `trainer -sc query=SHELL`, for the line in $COMP_LINE, or print the script of `install=`."""
    shell = next((arg.removeprefix("query=") for arg in args if arg.startswith("query=")), None)
    if shell is None:
        if not any(arg.startswith(("install=", "uninstall=")) for arg in args):
            raise ConfigError("-sc installs tab completion", 'eval "$(trainer -sc install=bash)"')
        return by_hydra("train", args)
    words = os.environ.get("COMP_LINE", "").split(" ")
    found = registry.verbs() if len(words) <= 2 else _candidates(words[1], words[2:-1], words[-1])
    print(("\n" if shell == "fish" else " ").join(filter(_INERT.fullmatch, found)))
    return 0


def _candidates(verb: str, before: Sequence[str], word: str) -> list[str]:
    """What `word` may become, after the words `before` it."""
    if verb not in registry.verbs():
        return []
    sign = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, value = word[len(sign) :].partition("=")
    groups = [group for group in (*registry.GROUPS, "experiment") if verb in registry.TRAINING or _has(verb, group)]
    if equals:
        options = group_choices(key) if key in groups else glob.glob(f"{glob.escape(value)}*") if value else []
        return [f"{sign}{key}={option}" for option in options if option.startswith(value)]
    try:
        given = arguments.read(verb, ["--cfg", "job", *(w for w in before if re.match(r"[^-][^,(]*$", w))])
        with ready():
            cfg, _ = compose(given.name, given.prepared())
    except TrainerError:  # what is wrong is said when the command is run
        return []
    keys = [*(f"{group}=" for group in groups), *_keys(plain(cfg), "", key.count("."))]
    return sorted({f"{sign}{option}" for option in keys if option.startswith(key)})


def _has(verb: str, group: str) -> bool:
    return group in registry.of_verb(verb).__dataclass_fields__


def _keys(values: dict[str, object], above: str, levels: int) -> list[str]:
    """The keys down to some level, with `.` after a section and `=` after any other."""
    found = []
    for name, value in values.items():
        if not isinstance(value, dict):
            found.append(f"{above}{name}=")
        elif levels:
            found += _keys(value, f"{above}{name}.", levels - 1)
        else:
            found.append(f"{above}{name}.")
    return found
