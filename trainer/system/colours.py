"""Colours of what is printed without rich, whose import takes longer than a short answer: on terminals only."""

import os
import sys
from typing import TextIO

_CODES = {"error": "1;31", "heading": "1;36", "name": "1", "dim": "2"}


def painted(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a `style` (error, heading, name, dim) if the `stream`, standard output or another, shows colours."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if shows_colours(stream or sys.stdout) else text


def shows_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that understands colours, and nobody has asked for none (https://no-color.org).

    As rich decides it: FORCE_COLOR makes a terminal of whatever it is, and NO_COLOR goes before it.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    if sys.platform == "win32" and not {"WT_SESSION", "ANSICON", "TERM"} & os.environ.keys():
        return False  # an old console shows the codes as letters
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
