"""The one list of keys: each by its full name, with where it is declared, its type, default, limits and meaning.

Help, completion, "did you mean" and docs/reference.md read the keys from here.
"""

import dataclasses
import functools
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import registry
from trainer.config.keys import MISSING, public, shown

_LIMITS = {"minimum": "at least", "above": "above", "maximum": "at most", "below": "below"}


@dataclass(frozen=True)
class Key:
    """A key of a verb, or of a section that may be chosen for one of its groups."""

    name: str  # in full, as it is typed: optim.lr
    field: "dataclasses.Field[Any]"
    hint: Any  # its type, resolved
    group: str | None = None  # the group whose section has it: optim; None: it is the verb's own
    section: str | None = None  # the name of that section: sgd; None: all of the group have it just so

    @property
    def word(self) -> str:
        """The last word of its name: lr."""
        return self.name.rpartition(".")[2]

    @property
    def typed(self) -> str:
        """Its name as people type it, where it has a short one: data.augment is data.augment.preset."""
        return self.name.removesuffix(".preset")

    @property
    def within(self) -> str:
        """Its name within the section of the group: lr, augment.flip."""
        return self.name.removeprefix(f"{self.group}.")

    @property
    def is_group(self) -> bool:
        """Whether it chooses a section: `model`, say."""
        return self.name in registry.GROUPS

    @property
    def default(self) -> Any:
        """The declared default; `keys.MISSING` where a value has to be given. A config may have another."""
        made = self.field.default_factory
        return self.field.default if made is dataclasses.MISSING else made()

    @property
    def shown_default(self) -> str:
        """The declared default as people type it."""
        value = self.default
        return str(value).lower() if isinstance(value, bool) else shown(value)

    @property
    def required(self) -> bool:
        """Whether a value has to be given; that of a section comes from a config."""
        return self.default == MISSING and not self.is_group

    @property
    def doc(self) -> str:
        """What it does."""
        return str(self.field.metadata["doc"])

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that are declared as all that there are."""
        found: tuple[str, ...] = self.field.metadata.get("choices", ())
        return found

    @property
    def words(self) -> tuple[str, ...]:
        """The words that may stand in the place of a number, such as `auto`."""
        found: tuple[str, ...] = self.field.metadata.get("words", ())
        return found

    @property
    def values(self) -> tuple[str, ...]:
        """The values that can be said in advance: choices, true and false, words in the place of a number, null."""
        types = typing.get_args(self.hint) or (self.hint,)
        truth = ("true", "false") if bool in types else ()
        null = ("null",) if type(None) in types else ()
        return (*self.choices, *self._parts, *truth, *self.words, *null)

    @property
    def _parts(self) -> tuple[str, ...]:
        """The names of metrics, say, where it takes such, and those of the user's own among them."""
        kind = self.field.metadata.get("kind")
        if kind is None:
            return ()
        from trainer.config import named

        return (*(named.OURS[kind] if not self.choices else ()), *named.names(kind))

    @property
    def type(self) -> str:
        """Its type in Python's words, as in docs/reference.md: `int or null`."""
        if self.hint is Any:
            return "section"
        name = str(self.hint if typing.get_args(self.hint) else getattr(self.hint, "__name__", self.hint))
        for word in self.words:
            name = name.removesuffix(" | str") + f" or {word}"
        return name.replace(" | None", " or null").replace(" | ", " or ").replace("typing.", "")

    @property
    def limits(self) -> str:
        """What a number must keep to: `at least 0, below 1`; empty where it is free."""
        metadata = self.field.metadata
        return ", ".join(f"{text} {metadata[name]}" for name, text in _LIMITS.items() if name in metadata)

    def has(self, mark: str) -> bool:
        """Whether it is declared as `runtime`, `text`, `positional`, ... (trainer.config.keys)."""
        return bool(self.field.metadata.get(mark))


@functools.cache
def of_verb(verb: str) -> tuple[Key, ...]:
    """The verb's own keys in the order of their declaration; a group is one of them, its sections' keys are not."""
    return tuple(_declared(registry.of_verb(verb), ""))


@functools.cache
def of_group(group: str) -> tuple[Key, ...]:
    """The keys that every section of a group has, the user's own included."""
    common = registry.shared(group)
    return () if common is None else tuple(_of(common, group))


@functools.cache
def of_section(group: str, name: str) -> tuple[Key, ...]:
    """All keys of a section of a group; `section` is None for those that it has just as every other."""
    common = {key.name: key for key in of_group(group)}
    found = _of(registry.section(group, name), group)
    return tuple(key if _same(key, common.get(key.name)) else dataclasses.replace(key, section=name) for key in found)


def groups(verb: str) -> tuple[str, ...]:
    """The groups of which a verb takes a section each."""
    return tuple(key.name for key in of_verb(verb) if key.is_group)


def keys(verb: str, chosen: Mapping[str, str] | None = None) -> list[Key]:
    """The keys that may be typed after a verb.

    `chosen` holds the name of the section that is chosen for each group, and the keys of these are listed; without it
    those of all sections are, so that a name may come up several times. A verb that opens a run again takes those keys
    of a training that may change.
    """
    found = list(of_verb(verb))
    of = verb
    if verb in registry.REOPENING:
        of = "train"
        found += [key for key in of_verb("train") if key.has("runtime")]
    for group in groups(of):
        several = dict.fromkeys(key for name in _names(group, chosen) for key in _of_any(group, name))
        found += [key for key in several if of == verb or key.has("runtime")]
    return found


def _names(group: str, chosen: Mapping[str, str] | None) -> list[str]:
    if chosen is None:
        return registry.names(group)
    return [chosen[group]] if group in chosen else []


def _of_any(group: str, name: str) -> tuple[Key, ...]:
    """The keys of a section; of one of the user's own those that it shares with ours."""
    return of_group(group) if registry.section(group, name) is None else of_section(group, name)


def named(word: str, among: Collection[Key]) -> list[Key]:
    """The keys that `word` may mean: that of this name, or those whose name ends with it: `lr`, `augment.flip`."""
    exact = [key for key in among if key.name == word]
    return exact or [key for key in among if key.name.endswith(f".{word}")]


def _of(cls: type, group: str) -> Iterator[Key]:
    for key in _declared(cls, f"{group}."):
        if key.name != f"{group}.name":
            yield dataclasses.replace(key, group=group)


def _declared(cls: type, above: str) -> Iterator[Key]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint, name = hints[field.name], f"{above}{public(field.name)}"
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from _declared(hint, f"{name}.")
        else:
            yield Key(name, field, hint)


def _same(key: Key, common: Key | None) -> bool:
    """Whether a section has a key just as every other has it."""
    return common is not None and key.default == common.default and key.field.metadata == common.field.metadata
