"""The lines of `trainer check`: what was looked at, what was found, and below it what to type."""

from rich.text import Text

from trainer.show import grid
from trainer.show.report import Report
from trainer.system.shown import LONGEST, printable, shortened

_MARKS = {"fine": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}
_MARK, _LABEL = 7, 22  # columns of the mark, and of what was looked at


def show(screen: Report, kind: str, looked_at: str, found: str, advice: str) -> None:
    """Print a finding, which is `fine`, a `note` or `wrong`."""
    mark, style = _MARKS[kind]
    label = printable(looked_at)
    indent = 2 + _MARK + max(_LABEL, len(label) + 2)
    begin = Text.assemble("  ", (f"{mark:<{_MARK}}", style), f"{label:<{indent - 2 - _MARK}}")
    _say(screen, begin, indent, found, "")
    if advice:
        arrow = "-> "
        _say(screen, Text(" " * (2 + _MARK)), 2 + _MARK + len(arrow), arrow + advice, "cyan")


def _say(screen: Report, begin: Text, indent: int, text: str, style: str) -> None:
    text = shortened(text.replace("±", "+-") if screen.ascii_only else text, LONGEST, "...")
    screen.log(f"{begin.plain}{text}")
    screen.show(Text.assemble(begin, (grid.wrapped(text, screen.room, indent), style)))
