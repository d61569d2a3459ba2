"""Texts as people see them: a name may come from a stranger's file, and whatever shows it must not obey it."""

import unicodedata

# Python counts these as printable, and nothing is seen where they stand: fillers, a blank and a joiner.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
LONGEST = 1000  # characters of a message: a stranger's file may hold names of any length
MARKS = 4  # accents on one letter: a flood of them would cover the lines above and below


def printable(text: str) -> str:
    """`text` on one line; what steers a terminal, turns the order of letters around or cannot be seen is escaped."""
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        seen = character.isprintable() and character not in _BLANK and marks <= MARKS
        shown.append(character if seen else ascii(character)[1:-1])
    return "".join(shown)


def shortened(text: str, most: int, dots: str = "…") -> str:
    """`text` as `printable` gives it, in at most `most` characters: the middle of a longer one is left out."""
    if len(text) > 2 * most:  # the text may have any length, and what is left out needs no escaping
        text = text[:most] + text[-most:]
    text = printable(text)
    if len(text) <= most:
        return text
    end = (most - len(dots)) // 3
    return text[: most - len(dots) - end] + dots + text[len(text) - end :]


def counted(number: int, what: str, many: str | None = None) -> str:
    """`1 row`, `1,200 rows`; `many` is a plural that takes more than an s."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def amount(value: float) -> str:
    """A quantity in four digits, as short as the numbers of an axis are to be: `0.01235`, `1,235`, `3.5M`."""
    for times, unit in ((1e9, "G"), (1e6, "M")):
        if times <= abs(value) < 1000 * times:
            return f"{value / times:.4g}{unit}"
    return f"{float(f'{value:.4g}'):,.10g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.4g}"


def share(part: float, certain: bool = True) -> str:
    """`97.8%` of a share in 0..1, in as many digits as it takes not to be rounded to nothing or to everything: 99.996%.

    Of what is not `certain`, such as a probability, 1 is `>99.999%`, and 0 is `<0.001%`.
    """
    if certain and part in (0, 1):
        return f"{part:.1%}"
    for digits in (1, 2, 3):
        text = f"{part:.{digits}%}"
        if 0 < float(text[:-1]) < 100 or not 0 <= part <= 1:
            return text
    return ">99.999%" if part > 0.5 else "<0.001%"


def is_mark(character: str) -> bool:
    """Whether it is drawn over the character before it."""
    return unicodedata.category(character) in ("Mn", "Me")
