"""`trainer help`: what a verb, a key, a group or a choice is, and where the value of a key comes from."""

import os
from collections.abc import Sequence

from trainer.cli import explaining, verbs
from trainer.cli.composed import Composed, composed
from trainer.config import index, registry, synonyms
from trainer.config.choices import group_choices
from trainer.config.index import Key
from trainer.system.errors import ConfigError, did_you_mean

USAGE = "trainer help [VERB] [KEY|GROUP|GROUP=CHOICE] [key=value ...] [RUN]"


def answer(words: Sequence[str]) -> str:
    """The text that answers `trainer help WORDS`.

    Raises:
        UserError: There is no such thing, the rest of the words cannot be composed, or the run cannot be read.
    """
    asked = [word for word in words if word not in ("--help", "-h")]
    if not asked:
        return verbs.help_beside("help") if words else verbs.overview()
    words = asked
    if words[0] in verbs.BESIDE:
        return verbs.help_beside(words[0])
    verb, *rest = words if words[0] in registry.verbs() else ["train", *words]
    if verb == words[0] and (not rest or rest[0].startswith("-") or "=" in rest[0] or os.path.exists(rest[0])):
        return verbs.help_of(verb, rest)
    topic, *others = rest
    if flags := [(flag, text) for flag, text in verbs.FLAGS.items() if topic == flag.split()[0]]:
        return explaining.flag(*flags[0])
    topic = topic.removeprefix("--")  # json is typed as --json
    given = [word for word in others if "=" in word or word.startswith(("-", "~"))]
    runs = [word for word in others if word not in given]
    if len(runs) > 1:
        raise ConfigError(f"'{runs[0]}' and '{runs[1]}' are two runs", USAGE)
    name, equals, _ = topic.partition("=")
    if equals and name not in _groups(verb):  # a key with a value, as on any command line
        given, topic = [*given, topic], name
    return _page(composed(verb, given), topic, runs[0] if runs else None)


def _groups(verb: str) -> list[str]:
    return [*index.groups(verb), *(["experiment"] if verb in registry.TRAINING else [])]


def _page(found: Composed, topic: str, run: str | None) -> str:
    verb = found.given.verb
    keys, everywhere = found.keys(), index.keys(verb)
    group, _, choice = topic.partition("=")
    groups = _groups(verb)
    if group in groups:
        return explaining.choice(found, group, choice) if choice else explaining.group(found, group, run)
    for among in (keys, everywhere):
        if several := _named(topic, among):
            return explaining.key(found, several, run) if _is_one(several) else explaining.list_of(topic, several)
    for among in (keys, everywhere):
        if inside := [key for key in among if f".{topic}." in f".{key.name}"]:
            return explaining.list_of(topic, inside)
    if named := [(group, topic) for group in groups if topic in group_choices(group)]:
        return explaining.choice(found, *named[0])
    for name, section in found.values.items():
        if isinstance(section, dict) and "_target_" in section and topic.removeprefix(f"{name}.") in section:
            return explaining.own(found, name, topic.removeprefix(f"{name}."))
    others = [other for other in registry.verbs() if verb == "train" and other != verb]
    for other in others:
        if several := [key for key in index.of_verb(other) if key.name == topic]:
            return explaining.key(composed(other, []), several, run)
    if (known := synonyms.key(topic)) is not None and known != topic:  # what other programs call it
        return _page(found, known, run)
    for other in others:
        if (several := _named(topic, index.of_verb(other))) and _is_one(several):
            return explaining.key(composed(other, []), several, run)
    if about := [key for key in everywhere if topic.lower() in key.doc.lower() and not key.is_group]:
        return explaining.list_of(topic, about)
    raise ConfigError(f"'{topic}' is not a verb, a key or a choice", _meant(group, bool(choice), everywhere))


def _named(topic: str, among: Sequence[Key]) -> list[Key]:
    return index.named(topic, among) or index.named(f"{topic}.preset", among)


def _is_one(keys: Sequence[Key]) -> bool:
    """Whether they are one key, which several sections may have."""
    return len({key.name for key in keys}) == 1


def _meant(word: str, is_choice: bool, keys: Sequence[Key]) -> str:
    groups = _groups("train")
    words = [*registry.verbs(), *groups, *(key.name for key in keys), *(key.word for key in keys)]
    if not is_choice:
        words += [choice for group in groups for choice in group_choices(group)]
    return did_you_mean(word, words, "see trainer train --help")
