"""`runs.where='optim.lr>0.01 and model=lenet'`: a few comparisons, read by these lines and by no `eval`."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.system.errors import ConfigError

_COMPARISON = re.compile(
    r"""\s*(?P<key>[A-Za-z_][\w./@-]*?)\s*(?P<sign>==|!=|<=|>=|=|<|>)\s*
    (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"<>=!]+))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"and(?=\s)", re.IGNORECASE)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Comparison:
    """One of them: what stands at `key` is compared with `value`."""

    key: str
    sign: str
    value: Any

    def holds(self, found: Any) -> bool:
        """Whether it does for the value that a run has. A number is neither more nor less than a word."""
        wanted = self.value
        if isinstance(found, list):
            found = f"[{','.join(map(str, found))}]"
        alike = (_is_number(found) and _is_number(wanted)) or (isinstance(found, str) and isinstance(wanted, str))
        if not alike:
            same = found is wanted or (type(found) is type(wanted) and found == wanted)
            return same if self.sign in ("=", "==") else not same if self.sign == "!=" else False
        return bool(_SIGNS[self.sign](found, wanted))


def read(text: str) -> list[Comparison]:
    """The comparisons of a text, all of which are to hold.

    Raises:
        ConfigError: it is none.
    """
    found, place = [], 0
    while True:
        match = _COMPARISON.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise ConfigError(
                f"runs.where={text}: {f'cannot read {rest!r}' if rest else 'a comparison is missing'}",
                "it is made of comparisons like 'optim.lr>0.01 and model=lenet and test/accuracy>=0.9'",
            )
        found.append(Comparison(match["key"], match["sign"], _value(match)))
        place = match.end()
        if place == len(text):
            return found
        following = _AND.match(text, place)
        if following is None:
            raise ConfigError(
                f"runs.where={text}: 'and' is expected before {text[place:].strip()!r}",
                "quote words with spaces: name='my run'",
            )
        place = following.end()


def fits(comparisons: Sequence[Comparison], value: Callable[[str], Any]) -> bool:
    """Whether all hold for a run whose `value` gives what stands at a key; one that it lacks fits nothing."""
    try:
        return all(comparison.holds(value(comparison.key)) for comparison in comparisons)
    except KeyError:
        return False


def _value(match: "re.Match[str]") -> Any:
    for name in ("single", "double"):
        if match[name] is not None:
            return match[name]
    word = match["bare"]
    if word in _WORDS:
        return _WORDS[word]
    share = word.endswith("%")
    try:
        return float(word[:-1]) / 100 if share else float(word)
    except ValueError:
        return word


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
