"""Texts in Markdown: names come from strangers' files, and nothing in them may be a link, an image or HTML."""

import re
from collections.abc import Iterable, Sequence

from trainer.system.shown import printable

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def escaped(text: str) -> str:
    """`text` within a line of Markdown, shown as it is."""
    found = re.sub(r"[\\`*_\[\]|~$#]", r"\\\g<0>", printable(text))
    found = re.sub(r"[&<>@]", lambda match: _ENTITIES[match[0]], found)
    return re.sub(r"://|(?i:www)\.", _unlinked, found)


def _unlinked(start: re.Match[str]) -> str:
    """The start of what would be a link without any brackets, as one that begins no link."""
    return f"{start[0][:-1]}&#{ord(start[0][-1])};"


def code(lines: Iterable[str], language: str) -> str:
    """A block of code, which no line in it can end."""
    text = "\n".join(map(printable, lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is of words, and the others of numbers; all of it is escaped."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *([escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def listed(facts: Iterable[tuple[str, str]]) -> str:
    """Labels and texts, one line each."""
    heads = ((f"**{escaped(label)}**: " if label else "", text) for label, text in facts)
    return "".join(f"- {head}{escaped(text)}\n" for head, text in heads)
