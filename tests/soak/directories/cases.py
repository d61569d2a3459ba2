"""All hostile directories by their names."""

from . import code, links, names, texts
from .making import Case

CASES: dict[str, Case] = {**code.CASES, **links.CASES, **texts.CASES, **names.CASES}
