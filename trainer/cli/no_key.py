"""What to say of a word that is neither an override nor a flag."""

import os
from collections.abc import Sequence
from difflib import get_close_matches

from trainer.config import index, meant, registry, synonyms
from trainer.config.choices import group_choices

_DID = "did you mean "


def words(verb: str, typed: Sequence[str]) -> str:
    """What words without a key may mean; of several that are choices, all of them."""
    hints = [word(verb, each) for each in typed]
    if len(hints) > 1 and all(hint.startswith(_DID) for hint in hints):
        return f"{_DID}{' '.join(hint.removeprefix(_DID).removesuffix('?') for hint in hints)}?"
    return hints[0]


def word(verb: str, typed: str) -> str:
    """What a word without a key may mean."""
    name, colon, value = typed.partition(":")
    keys = index.keys(verb)
    if colon and (name in registry.GROUPS or index.named(name, keys)):
        return f"{_DID}{name}={value.strip() or 'VALUE'}?"
    if typed.endswith((".yaml", ".yml")):
        return f"{_DID}--config {typed}?" if os.path.isfile(typed) else f"there is no file {typed} here"
    groups = [group for group in registry.GROUPS if verb in registry.TRAINING or group in index.groups(verb)]
    for group in (*groups, *(["experiment"] if verb in registry.TRAINING else [])):
        if typed in group_choices(group):
            return f"{_DID}{group}={typed}?"
    if found := index.named(typed, keys):
        return f"{_DID}{found[0].name}=VALUE?"
    if verb in registry.TRAINING and os.path.exists(typed):
        return f"of {typed} a training begins with from={typed}; data are given by data={typed}"
    return f"see trainer {verb} --help"


def second(verb: str, typed: str) -> str:
    """What a second word without a key may mean, after the run."""
    if typed in synonyms.VALUES["format"] and verb == "export":
        return f"{_DID}format={typed}?"
    keys = {key.name for key in index.of_verb(verb)}
    if typed.isdecimal() and "port" in keys:
        return f"{_DID}port={typed}?"
    if typed.endswith((".onnx", ".pt2", ".safetensors", ".png")) and "out" in keys:
        return f"{_DID}out={typed}?"
    return "trainer runs A B compares two" if verb == "eval" else ""


def flag(verb: str, typed: str, known: Sequence[str]) -> str:
    """What a flag that is none of the `known` may mean."""
    if typed in ("-v", "--verbose", "-q", "--quiet"):
        return "all that a training says is in its train.log, too; trainer --version shows the version"
    name = typed.partition("=")[0]
    if not name.startswith("--"):
        return f"see trainer {verb} --help"
    if (phrase := synonyms.among(name[2:], synonyms.PHRASES)) is not None:
        return phrase
    if close := get_close_matches(name, known, n=1, cutoff=0.8):
        return f"{_DID}'{close[0]}'?"
    return meant.of_flag(verb, name[2:].replace("-", "_")) or f"see trainer {verb} --help"
