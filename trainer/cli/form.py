"""The form of an override: `KEY=VALUE`, or `~KEY`."""

import re

from trainer.config import index
from trainer.system.errors import ConfigError

# Sections that a preset may be given for by their own name: data.augment=strong is data.augment.preset=strong.
_WITH_PRESETS = ("data.augment",)
_KEY = re.compile(r"[\w$-]+([./@:][\w$-]+)*")  # of ours, or of Hydra's own


def key(override: str) -> str:
    """The key of an override, without the sign before it."""
    return override.lstrip("+~").split("=", 1)[0]


def check(verb: str, word: str) -> None:
    """Check that an override has a key, and a value if it sets one.

    Raises:
        ConfigError: It has not.
    """
    name, equals, value = word.lstrip("+~").partition("=")
    if not _KEY.fullmatch(name):
        raise ConfigError(f"'{word}': '{name}' is no key", "an override is KEY=VALUE, like optim.lr=0.1")
    if equals and not value and not word.startswith("~"):
        at_all = "; null is none" if any("null" in k.values for k in index.keys(verb) if k.name == name) else ""
        raise ConfigError(f"{name}= is empty", f"give a value, {name}=VALUE, or leave it out{at_all}")


def in_full(override: str) -> str:
    """The override of a key for one that gives a section its preset."""
    name, _, value = override.partition("=")
    if name.lstrip("+") in _WITH_PRESETS and not value.startswith(("{", "${")):
        return f"{name}.preset={value}"
    return override
