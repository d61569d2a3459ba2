"""The text of a table's file, whatever its encoding."""

import codecs

from trainer.data.table.notes import Notes
from trainer.system.errors import DataError

_SIXTEEN = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SAMPLE = 4096  # bytes in which the zero bytes of UTF-16 are looked for
_LATIN = 0.5  # a file in which more of the letters beyond ASCII than this are broken as UTF-8 is in Latin-1


def decoded(content: bytes, notes: Notes) -> str:
    """The text in a file; other encodings than UTF-8 are noted.

    Raises:
        DataError: It is not text.
    """
    text = _decoded(content, notes)
    return text if "\n" in text else text.replace("\r", "\n")  # as programs on old Macs ended lines


def _decoded(content: bytes, notes: Notes) -> str:
    sixteen = _sixteen(content)
    if sixteen is not None:
        notes.clean("read as UTF-16", "save it as UTF-8")
        return content.decode(sixteen, errors="replace").removeprefix("\ufeff")
    if b"\0" in content:
        raise DataError(f"{notes.path} is not text: it holds zero bytes", "give a table in text, or a .parquet file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    text = content.decode("utf-8-sig", errors="replace")
    broken = text.count("\ufffd")
    beyond = len(text) - sum(text.count(chr(code)) for code in range(128))
    if broken <= _LATIN * beyond:
        notes.clean(f"{broken:,} bytes are not UTF-8, and were read as \ufffd", "save it as UTF-8")
        return text
    try:
        text, name = content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, name = content.decode("latin-1"), "Latin-1"
    notes.clean(f"not UTF-8: read as {name}", "save it as UTF-8")
    return text


def _sixteen(content: bytes) -> str | None:
    """Which UTF-16 the bytes are, by their mark, or because nearly every other byte of them is zero."""
    for mark, name in _SIXTEEN.items():
        if content.startswith(mark):
            return name
    first = content[:_SAMPLE]
    zeros = [first[i::2].count(0) / max(1, len(first[i::2])) for i in (0, 1)]
    if len(content) % 2 == 0 and max(zeros) > 0.4 and min(zeros) < 0.1:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return None
