"""What to say of a command line that does not begin with a verb."""

import os
from collections.abc import Sequence

from trainer.cli import datapath
from trainer.config import registry, synonyms
from trainer.config.choices import group_choices
from trainer.system.errors import ConfigError, did_you_mean
from trainer.system.paths import quoted


def mistake(args: Sequence[str]) -> ConfigError:
    """The mistake of `args`, whose first word is no verb, with the command that was most likely meant."""
    word, known = args[0], registry.verbs()
    if word == "trainer" and len(args) > 1:
        return ConfigError("'trainer' is typed twice", f"did you mean: trainer {_line(args[1:])}")
    if "=" in word or word.startswith("-"):
        return ConfigError(f"a verb comes first: '{word}' is none", f"did you mean: {_command(args)}")
    other = word.lower() if word.lower() in known else synonyms.among(word, synonyms.VERBS)
    if other is not None:
        return ConfigError(f"'{word}' is not a verb of trainer", f"did you mean: trainer {other} {_line(args[1:])}")
    if os.path.exists(word) or datapath.looks_like_one(word):
        verb = "train data=" if word.endswith(datapath.TABLES) else "eval "
        return ConfigError(f"a verb comes first: '{word}' is none", f"did you mean: trainer {verb}{_line(args)}")
    for group in ("experiment", *registry.OF_A_TRAINING):
        if word in group_choices(group):
            hint = f"did you mean: trainer train {group}={_line(args)}"
            return ConfigError(f"'{word}' is not a verb of trainer", hint)
    return ConfigError(f"'{word}' is not a verb of trainer", did_you_mean(word, known))


def _command(args: Sequence[str]) -> str:
    """The command that words without a verb stand for: a verb among them goes first, and is `train` otherwise."""
    verb = next((word for word in args if word in registry.verbs()), None)
    rest = list(args)
    if verb is not None:
        rest.remove(verb)
    place = next((verb for verb in ("eval", "resume") if args[0].startswith(("ckpt=", "run="))), "train")
    return f"trainer {verb or ('resume' if args[0].startswith('run=') else place)} {_line(rest)}"


def _line(args: Sequence[str]) -> str:
    return " ".join(map(quoted, args))
