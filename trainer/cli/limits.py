"""How much a command line may hold. Beyond that, reading it would take minutes, or more memory than there is."""

import re
from collections.abc import Sequence

from trainer.system.errors import ConfigError

WORDS = 1_000
LENGTH = 20_000  # characters of one word
KEY = 200  # characters of a key
SECTIONS = 20  # sections that a key is in
DEPTH = 50  # brackets in brackets
ITEMS = 2_000  # of all lists: the time that the grammar takes grows with the square
_NUMBER = re.compile(r"(?:\d_?){400}")  # Python converts no more than 4,300 digits, and no float has more than 309


def check(words: Sequence[str]) -> None:
    """Check a command line before anything reads it.

    Raises:
        ConfigError: It holds more than trainer reads.
    """
    if len(words) > WORDS:
        raise ConfigError(f"a command line of {len(words):,} words: it may have {WORDS:,}", "put values into a config")
    items = sum(map(_checked, words))
    if items > ITEMS:
        raise ConfigError(f"lists of {items:,} values: they may have {ITEMS:,}", "put values into a config")


def _checked(word: str) -> int:
    """How many commas there are within brackets of a word that can be read."""
    shown = word if len(word) <= 40 else f"{word[:40]}..."
    if len(word) > LENGTH:
        raise ConfigError(f"{shown} has {len(word):,} characters: it may have {LENGTH:,}", "put values into a config")
    key = word.partition("=")[0]
    if "=" in word and (len(key) > KEY or key.count(".") > SECTIONS):
        raise ConfigError(
            f"{shown} is too long a key", f"one has at most {KEY} characters, and is in at most {SECTIONS} sections"
        )
    depth, items = _nesting(word)
    if depth > DEPTH:
        raise ConfigError(f"{shown} has brackets {depth:,} deep: they may be {DEPTH} deep")
    if _NUMBER.search(word):
        raise ConfigError(f"{shown}: the number has too many digits", "one has at most 309")
    return items


def _nesting(word: str) -> tuple[int, int]:
    """How deep brackets are in brackets, and how many commas are in any."""
    depth = deepest = commas = 0
    for character in re.findall(r"[\[\](){},]", word):
        if character in "[({":
            depth += 1
            deepest = max(deepest, depth)
        elif character == ",":
            commas += depth > 0
        else:
            depth = max(0, depth - 1)
    return deepest, commas
