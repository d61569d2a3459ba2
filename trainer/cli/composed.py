"""What a command line would be composed to, for those who show it and run nothing."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from trainer.cli import arguments
from trainer.cli.arguments import Arguments
from trainer.config import index
from trainer.config.choices import defaults
from trainer.config.index import Key

_SWEEP = ("-m", "--multirun")  # a sweep is shown as one of its jobs would be


@dataclass(frozen=True)
class Composed:
    """The words after a verb, and the plain `values` and the `choices` in groups that they give."""

    given: Arguments
    values: dict[str, Any]
    choices: dict[str, str]

    @property
    def sections(self) -> dict[str, str]:
        """The name of the section that is chosen for each group; of one of the user's own its class."""
        found = {group: self.values.get(group) for group in index.groups(self.given.verb)}
        return {
            group: str(section.get("_target_") or section.get("name"))
            for group, section in found.items()
            if isinstance(section, dict) and ("name" in section or "_target_" in section)
        }

    def keys(self) -> list[Key]:
        """The keys that may be typed, those of the chosen sections included."""
        return index.keys(self.given.verb, self.sections)

    def origin(self, name: str) -> str:
        """In words, where the value of a key, or the choice in a group, comes from."""
        from trainer.config.origins import Origins

        with _ready(self.given):
            origins = Origins(self.given.name, self.given.prepared(), self.given.words)
            return origins.of_choice(name) if name in self.choices else origins.of(name)

    def value(self, name: str, otherwise: Any = None) -> Any:
        """The value of a key by its full name, with `${...}` as it is written; `otherwise` where there is none."""
        return within(self.values, name, otherwise)


def within(values: Any, name: str, otherwise: Any = None) -> Any:
    """What nested plain values have by a full name, such as `optim.lr`; `otherwise` where there is nothing."""
    for word in name.split("."):
        if not isinstance(values, dict) or word not in values:
            return otherwise
        values = values[word]
    return values


def composed(verb: str, words: Sequence[str]) -> Composed:
    """Compose the words after a verb.

    Raises:
        ConfigError: They cannot be read, or not be composed.
    """
    if not words and (found := defaults(verb)) is not None:
        return Composed(arguments.read(verb, ["--cfg", "job"]), *found)
    from trainer.config import composition
    from trainer.config.written import plain

    given = arguments.read(verb, ["--cfg", "job", *(word for word in words if word not in _SWEEP)])
    with _ready(given):
        cfg, choices = composition.compose(given.name, given.prepared())
    return Composed(given, plain(cfg), choices)


def _ready(given: Arguments) -> AbstractContextManager[None]:
    from trainer.config import composition

    return composition.ready(given.folder)
