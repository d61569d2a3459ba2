"""Which letters can be drawn, how wide they are, and which fonts of this machine have what the usual one lacks."""

import unicodedata
from functools import cache
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

USUAL = "DejaVu Sans"  # which matplotlib brings with it
LAST_RESORT = "Last Resort"  # a font of boxes, for every letter
SEARCHED = 500  # fonts of the machine that are looked through for a letter
_FLAGS = LoadFlags.NO_HINTING | LoadFlags.NO_BITMAP
_UNITS = 100 * 65536  # of an advance, at a size of 100 points


class Fonts:
    """The usual font, and those that were found for letters that it lacks; `families` are what matplotlib is told."""

    def __init__(self) -> None:
        self.families = [USUAL]
        self._opened = [_opened(font_manager.findfont(USUAL))]
        self._widths: dict[str, float | None] = {}
        self._without: set[str] = set()  # scripts for which no font was found: each search opens all fonts

    def width(self, letter: str) -> float | None:
        """How wide a letter is drawn alone, in units of the font's size; None where no font has it."""
        if letter not in self._widths:
            self._widths[letter] = self._measured(letter)
        return self._widths[letter]

    def _measured(self, letter: str) -> float | None:
        font = next((font for font in self._opened if font.get_char_index(ord(letter))), None) or self._found(letter)
        if font is None:
            return None
        return float(font.load_char(ord(letter), flags=_FLAGS).linearHoriAdvance) / _UNITS

    def _found(self, letter: str) -> Any:
        """A font of the machine that has the letter, which is from now on one of the families."""
        script = unicodedata.name(letter, "").partition(" ")[0]
        if script in self._without:
            return None
        for family, path in _candidates():
            try:
                font = _opened(path)
            except (OSError, RuntimeError):
                continue
            if font.get_char_index(ord(letter)):
                self.families.append(family)
                self._opened.append(font)
                matplotlib.rcParams["font.family"] = self.families  # of the texts that are made from now on
                return font
        self._without.add(script)
        return None


def _opened(path: str) -> Any:
    font = FT2Font(path)
    font.set_size(100, 72)
    return font


@cache
def _candidates() -> list[tuple[str, str]]:
    """Families and files of upright fonts of the usual weight, those without serifs first."""
    found: dict[str, str] = {}
    for entry in font_manager.fontManager.ttflist:
        if entry.name.startswith(LAST_RESORT):
            continue
        if entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular", "book"):
            found.setdefault(entry.name, entry.fname)
    return sorted(found.items(), key=lambda item: ("Sans" not in item[0], item[0]))[:SEARCHED]


@cache
def fonts() -> Fonts:
    """The fonts of this process."""
    return Fonts()
