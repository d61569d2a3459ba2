"""How bash and readline take a command line apart, and how a word is written so that they take it back whole.

Bash hands over the line as it is typed, and replaces what stands after the last character that breaks words.
"""

from dataclasses import dataclass

BREAKS = " \t\n\"'><=;|&(:"  # $COMP_WORDBREAKS, unless somebody has changed it
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,/@%+=:^")
_ESCAPED_IN_QUOTES = frozenset('"$`\\')  # within double quotes


@dataclass
class Line:
    """A command line up to the cursor: its words without quotes, and how the last one is written."""

    words: list[str]
    quote: str = ""  # that of the last word, if it is still open
    kept: int = 0  # characters of the last word that readline leaves where they are


def read(text: str, breaks: str) -> Line:
    """Take a line apart, of which readline breaks words at the characters `breaks`."""
    line = Line([""])
    within = False  # a word, which may be empty quotes
    escaped = False
    before = 0  # `kept` at the quote
    for letter in text:
        if escaped:
            line.words[-1] += letter
            escaped = False
        elif letter == "\\" and line.quote != "'":
            within = escaped = True
        elif line.quote:
            if letter == line.quote:
                line.quote, line.kept = "", before
            else:
                line.words[-1] += letter
        elif letter in "'\"":
            line.quote, within = letter, True
            before, line.kept = line.kept, len(line.words[-1])
        elif letter in " \t\n":
            if within:
                line.words.append("")
            within, line.kept = False, 0
        else:
            line.words[-1] += letter
            within = True
            if letter in breaks:
                line.kept = len(line.words[-1])
    return line


def written(word: str, line: Line, ends: bool) -> str | None:
    """What readline is to put in the place of the end of the line for it to become `word`; None: there is no way.

    One that `ends` is followed by a space.
    """
    rest = word[line.kept :]
    if line.quote == "'":
        return None if "'" in rest else rest
    if line.quote:
        return None if "!" in rest else "".join(f"\\{c}" if c in _ESCAPED_IN_QUOTES else c for c in rest)
    home = rest.startswith("~")
    text = "".join(c if c in _PLAIN or c.isalnum() or (home and not n) else f"\\{c}" for n, c in enumerate(rest))
    return f"{text} " if ends else text
