"""Pages in HTML that open anywhere: one file, no network, no script; names of strangers stay text in them."""

import base64
import hashlib
import html
import struct
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from trainer.show.values import is_number
from trainer.system.shown import printable

Rows = Iterable[Sequence[str]]
_STYLE = Path(__file__).with_name("page.css")
_WIDE = 2.0  # times as wide as high: such a picture is scrolled on a phone, where it could not be read
_DIGEST = 44  # letters of a SHA-256 digest in base64
_BEGINNING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-{}'; \
base-uri 'none'; form-action 'none'">"""
HEAD = len(_BEGINNING) + _DIGEST  # bytes in which `is_safe` sees what a page is
_HEADER = b"\x89PNG\r\n\x1a\n"


def escaped(text: str) -> str:
    """`text` in an element or in an attribute with quotes, shown as it is."""
    return html.escape(printable(text))


def page(title: str, body: Iterable[str]) -> str:
    """A whole page. By its policy a browser loads nothing, runs nothing and sends nothing, whatever is in it."""
    style = _style()
    head = (
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        '<link rel="icon" href="data:,">',  # a browser would ask the server for one
        f"<title>{escaped(title)}</title>",
        f"<style>{style}</style>",
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    lines = (_BEGINNING.format(digest), *head, "</head>", "<body>", "<main>", *body)
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""])


def is_safe(beginning: bytes) -> bool:
    """Whether a file, perhaps a stranger's, begins as a page of ours, by whose policy it cannot do anything."""
    before, after = (part.encode() for part in _BEGINNING.split("{}"))
    return beginning.startswith(before) and beginning[len(before) + _DIGEST :].startswith(after)


def heading(title: str, below: str = "") -> str:
    """The name of what the page is about, and a sentence on it."""
    return f"<header><h1>{escaped(title)}</h1>{paragraph(below) if below else ''}</header>"


def section(title: str, parts: Iterable[str]) -> str:
    """A part of the page under a title of plain letters; "" where nothing is in it."""
    found = "\n".join(part for part in parts if part)
    name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return f'<section id="{name}"><h2>{title}</h2>\n{found}\n</section>' if found else ""


def below(title: str) -> str:
    """A title within a section."""
    return f"<h3>{escaped(title)}</h3>"


def beside(parts: Iterable[str]) -> str:
    """Parts that stand beside each other where the page is wide enough."""
    found = "".join(f"<div>{part}</div>" for part in parts)
    return f'<div class="beside">{found}</div>' if found else ""


def paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"


def notice(title: str, text: str, grave: bool = False) -> str:
    """A line that is not to be overlooked."""
    bold = f"<b>{escaped(title[:1].upper() + title[1:])}:</b> " if title else ""
    return f'<p class="notice{" grave" if grave else ""}" role="note">{bold}<span>{escaped(text)}</span></p>'


def tiles(figures: Rows) -> str:
    """The figures that count, in large letters: label, value and what is said of it."""
    cells = (
        f"<div><dt>{escaped(label)}</dt><dd><b>{escaped(value)}</b> <small>{escaped(said)}</small></dd></div>"
        for label, value, said in figures
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def facts(each: Iterable[tuple[str, str]]) -> str:
    """Labels and texts, one line each."""
    found = "".join(f"<div><dt>{escaped(label)}</dt><dd>{escaped(text)}</dd></div>" for label, text in each)
    return f'<dl class="facts">{found}</dl>' if found else ""


def listed(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"


def table(header: Sequence[str], rows: Rows, links: Sequence[str] = ()) -> str:
    """A table, in which columns of numbers are aligned to the right; it scrolls within the page.

    `links` are the addresses of the rows' first cells, of plain letters; "" for a cell that is no link.
    """
    found = [list(row) for row in rows]
    if not found:
        return ""
    flush = [number > 0 and all(is_number(row[number]) for row in found) for number in range(len(header))]
    kinds = [' class="n"' if is_flush else "" for is_flush in flush]
    head = "".join(f'<th scope="col"{kind}>{escaped(cell)}</th>' for kind, cell in zip(kinds, header, strict=True))
    lines = []
    for number, row in enumerate(found):
        cells = [*map(escaped, row)]
        if number < len(links) and links[number]:
            cells[0] = f'<a href="{links[number]}">{cells[0]}</a>'
        lines.append("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True)))
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
    )


def link(text: str, address: str) -> str:
    """A link to an address of plain letters; "" where there is none."""
    return f'<p><a href="{address}">{escaped(text)}</a></p>' if address else ""


def commands(lines: Iterable[str]) -> str:
    """Commands to copy, one on a line that is never broken."""
    return f'<pre class="scroll" tabindex="0"><code>{escaped_lines(lines)}</code></pre>'


def escaped_lines(lines: Iterable[str]) -> str:
    return "\n".join(map(escaped, lines))


def picture(content: bytes, name: str, caption: str) -> str:
    """A picture within the page, from the bytes of a PNG file, with its caption; "" for what is no PNG file."""
    if not content.startswith(_HEADER) or len(content) < 24:
        return ""
    width, height = struct.unpack(">II", content[16:24])
    kind = ' class="wide"' if width > _WIDE * height else ""
    source = base64.b64encode(content).decode("ascii")
    return (
        f'<figure{kind}><div class="scroll" tabindex="0"><img width="{width}" height="{height}" '
        f'alt="{escaped(name)}" src="data:image/png;base64,{source}"></div>'
        + (f"<figcaption>{escaped(caption)}</figcaption></figure>" if caption else "</figure>")
    )


@cache
def _style() -> str:
    return _STYLE.read_text(encoding="utf-8")
