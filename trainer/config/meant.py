"""Which key somebody meant who typed one that does not exist."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from trainer.config import index, registry, synonyms
from trainer.config.index import Key
from trainer.system.errors import UnknownKeyError, did_you_mean, listed

FEW = 12  # keys of a section that are listed; of more it is said where they stand
SEVERAL = 3  # keys that are offered
_CLOSE_HERE, _CLOSE = 0.7, 0.75  # how alike a word is to a key of its own section, and to the last one of another's


def explained(error: UnknownKeyError, verb: str, values: Mapping[str, Any], typed: Sequence[str]) -> str:
    """The hint of an error about a key of a verb, whose `values` were composed of what was `typed` and of files."""
    words = [word.lstrip("+").partition("=")[0] for word in typed]
    name = next((word for word in words if word.startswith(f"{error.key}.")), error.key)
    sections = {group: values[group] for group in registry.GROUPS if isinstance(values.get(group), dict)}
    chosen = {group: str(section.get("name")) for group, section in sections.items()}
    return hint(verb, name, chosen, error.siblings)


def hint(verb: str, name: str, chosen: Mapping[str, str], siblings: Sequence[str]) -> str:
    """What to type in the place of the key `name`, of which the verb has none.

    `chosen` has the section's name of each group, and `siblings` are the keys that there are beside it.
    """
    above, _, word = name.rpartition(".")
    described = [key for group in index.groups(verb) if group not in chosen for key in index.of_group(group)]
    here, all_keys = [*index.keys(verb, chosen), *described], index.keys(verb)
    root = above.partition(".")[0]
    if root not in {key.name.partition(".")[0] for key in all_keys}:  # of a section that another program has
        above = root = ""
    if (phrase := synonyms.among(word, synonyms.PHRASES)) is not None and verb in registry.TRAINING:
        return phrase
    if same := _within(root, index.named(word, here)):
        return _offered(dict.fromkeys(key.name for key in same))
    known = synonyms.key(word)
    if known not in (None, root) and (found := _of_synonym(known, here, all_keys, verb)):
        return found
    if elsewhere := _within(root, index.named(word, all_keys)):
        return _of_others(elsewhere, name)
    if get_close_matches(word.lower(), siblings, n=1, cutoff=_CLOSE_HERE):
        return did_you_mean(word, siblings)
    if not above and (close := get_close_matches(word.lower(), {key.word for key in here}, n=1, cutoff=_CLOSE)):
        return _offered(dict.fromkeys(key.name for key in here if key.word == close[0]))
    if not above and (likely := _likely(word)) and (found := _of_synonym(likely, here, all_keys, verb)):
        return found
    return _list(verb, name, above, siblings)


def _within(root: str, keys: Sequence[Key]) -> list[Key]:
    """Those of the keys that stand below the section `root`; all of them if that is empty."""
    return [key for key in keys if not root or key.name.startswith(f"{root}.")]


def _likely(word: str) -> str | None:
    """What a misspelt word of another program is called here."""
    words = {other: name for name, others in synonyms.KEYS.items() for other in others if len(other) > SEVERAL}
    close = get_close_matches(word.lower(), words, n=1, cutoff=_CLOSE)
    return words[close[0]] if close else None


def _of_synonym(known: str, here: Collection[Key], all_keys: Collection[Key], verb: str) -> str:
    """The hint for a word of another program that is `known` here; empty where the verb has nothing of the kind."""
    name = known.partition("=")[0]
    if any(key.name == name for key in here) or (name == "experiment" and verb in registry.TRAINING):
        return f"did you mean '{known}'?"
    return _of_others([key for key in all_keys if key.name == name])


def of_flag(verb: str, name: str) -> str:
    """The hint for `--NAME`, which is no flag; empty where it is like no key."""
    keys = index.keys(verb)
    words = {key.word: key for key in keys} | {key.name: key for key in keys}
    close = get_close_matches(name.lower(), words, n=1, cutoff=_CLOSE)
    if name in words:
        return f"it takes a value: {words[name].name}=VALUE"
    return f"did you mean {words[close[0]].name}=VALUE?" if close else ""


def _offered(names: Collection[str]) -> str:
    *others, last = [f"'{name}'" for name in names][:SEVERAL]
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _of_others(keys: Sequence[Key], typed: str = "") -> str:
    """The hint for keys of sections that are not chosen."""
    if not keys:
        return ""
    first = keys[0]
    keys = [key for key in keys if key.name == first.name]
    having = [name for name in registry.names(str(first.group)) if any(key.section in (name, None) for key in keys)]
    its = [f"{first.group}={name}" for name in having[:SEVERAL]]
    more = ", ..." if len(having) > SEVERAL else ""
    has = "has" if len(having) == 1 else "have"
    key = "it" if first.name == typed else f"'{first.name}'"
    example = f": {its[0]} {first.name}=..." if len(its) == 1 else ""
    return f"{', '.join(its)}{more} {has} {key}{example}"


def _list(verb: str, name: str, above: str, siblings: Sequence[str]) -> str:
    if not above and verb != "train" and any(key.name == name for key in index.keys("train")):
        return f"it is a key of trainer train; trainer {verb} --help lists those of {verb}"
    if len(siblings) <= FEW:
        return f"choose from: {listed(sorted(siblings))}"
    return f"trainer help {above} lists its keys" if above else f"trainer {verb} --help lists the keys"
