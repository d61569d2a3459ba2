"""Texts in Markdown: names come from strangers' files, and nothing in them may be a link, an image or HTML."""

import re
from collections.abc import Iterable, Sequence

from trainer.system.shown import printable

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def escaped(text: str) -> str:
    """`text` within a line of Markdown, shown as it is."""
    found = re.sub(r"[&<>@]", lambda match: _ENTITIES[match[0]], printable(text))
    found = re.sub(r"[\\`*_\[\]|~$#]", r"\\\g<0>", found)
    return re.sub(r"://|(?i:www)\.", lambda match: match[0][:-1] + f"&#{ord(match[0][-1])};", found)  # links by themselves


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
    return "".join(f"- **{escaped(label)}**: {escaped(text)}\n" if label else f"- {escaped(text)}\n" for label, text in facts)
