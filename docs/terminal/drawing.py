"""A recorded terminal as SVG: as it is in the end, or moving, by CSS and without any script."""

import html
from collections.abc import Iterator
from itertools import groupby

from docs.terminal.recording import Cell, Change, Screen, Style

WIDTH, HEIGHT, LEFT, TOP = 8.4, 18.0, 14.0, 44.0  # of a letter, and of the frame
END = 8.0  # seconds that the last picture stays

BACKGROUND, PLAIN, DIM = "#1b1f27", "#d7dae0", "#8b93a1"
COLOURS = {
    "0": "#5c6370",
    "1": "#f2777a",
    "2": "#8fc77b",
    "3": "#e5c07b",
    "4": "#6cb6ff",
    "5": "#d19ae8",
    "6": "#5ccfc9",
}


def drawn(screen: Screen, columns: int, moves: bool) -> str:
    """The picture."""
    rows = max(change.row for change in screen.changes) + 1
    width, height = columns * WIDTH + 2 * LEFT, rows * HEIGHT + TOP + 12
    length = screen.changes[-1].when + END
    rules: dict[tuple[float, float], str] = {}
    lines = list(_lines(screen.changes, rules, length, moves))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img" aria-label="A terminal">',
            f"<style>{_style(rules, length)}</style>",
            f'<rect width="100%" height="100%" rx="9" fill="{BACKGROUND}"/>',
            *(
                f'<circle cx="{20 + 20 * place}" cy="20" r="6" fill="{colour}"/>'
                for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
            ),
            *lines,
            "</svg>\n",
        ]
    )


def _style(rules: dict[tuple[float, float], str], length: float) -> str:
    fonts = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    parts = [f"text{{font:14px {fonts};fill:{PLAIN};white-space:pre}}.b{{font-weight:bold}}.d{{fill:{DIM}}}"]
    parts.append(".h{visibility:hidden}")
    parts += [f".c{number}{{fill:{colour}}}" for number, colour in COLOURS.items()]
    for (start, end), name in rules.items():
        at = f"{100 * start / length:.2f}%{{visibility:visible}}"
        gone = f"{100 * end / length:.2f}%{{visibility:hidden}}" if end < length else ""
        parts.append(f"@keyframes {name}{{0%{{visibility:hidden}}{at}{gone}}}")
        parts.append(f".{name}{{animation:{name} {length:.1f}s step-end infinite}}")
    parts.append("@media (prefers-reduced-motion:reduce){g{animation:none!important}}")
    return "".join(parts)


def _lines(changes: list[Change], rules: dict[tuple[float, float], str], length: float, moves: bool) -> Iterator[str]:
    """Each line as often as it changes; what is not there in the end is hidden where nothing moves."""
    for row, found in groupby(sorted(changes, key=lambda change: (change.row, change.when)), lambda change: change.row):
        versions = list(found)
        for version, end in zip(versions, [*(v.when for v in versions[1:]), length], strict=True):
            last = version is versions[-1]
            if not version.cells or (not moves and not last):
                continue
            classes = [] if last else ["h"]
            if moves:
                classes.append(rules.setdefault((version.when, end), f"k{len(rules)}"))
            attributes = f' class="{" ".join(classes)}"' if classes else ""
            yield f"<g{attributes}>{''.join(_texts(version.cells, TOP + HEIGHT * (row + 0.75)))}</g>"


def _texts(cells: tuple[Cell, ...], y: float) -> Iterator[str]:
    """The letters of one style side by side are one text, spread over exactly their columns."""
    column = 0
    for style, found in groupby(cells, lambda cell: cell[1]):
        text = "".join(letter for letter, _ in found)
        bare = text.strip()
        if bare:
            x = LEFT + WIDTH * (column + len(text) - len(text.lstrip()))
            yield (
                f'<text x="{x:.1f}" y="{y:.1f}" textLength="{WIDTH * len(bare):.1f}"{_look(style)}>'
                f"{html.escape(bare, quote=False)}</text>"
            )
        column += len(text)


def _look(style: Style) -> str:
    colour, bold, dim = style
    classes = [*(["b"] if bold else []), *(["d"] if dim and not colour else [])]
    if colour in COLOURS:
        classes.append(f"c{colour}")
    fill = f' fill="{colour}" style="fill:{colour}"' if colour.startswith("#") else ""
    return (f' class="{" ".join(classes)}"' if classes else "") + fill
