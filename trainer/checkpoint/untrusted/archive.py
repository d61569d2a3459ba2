"""The zip archives that `torch.save` writes, and no others: nothing compressed, nothing twice, nothing hidden."""

import struct
import zipfile
from typing import BinaryIO

from trainer.checkpoint.untrusted import pickles
from trainer.checkpoint.untrusted.objects import SAVE, WANTED, RefusedError

MAGIC = b"PK\x03\x04"
_DIRECTORY = 2**24  # bytes; an entry takes about a hundred
_END, _END64, _LOCATOR = 22, 56, 20  # the lengths of the records at the end of an archive


def check(file: BinaryIO, size: int) -> None:
    """Check the archive, the CRCs of its records, and its pickle.

    torch and Python read archives with different libraries. A file that the two could understand differently (names
    that differ in case only, bytes before or after the archive, records that overlap) is refused.

    Raises:
        RefusedError: the file is damaged, or torch.save did not write it.
    """
    directory, length = _directory(file, size)
    if length > _DIRECTORY:
        raise RefusedError("is damaged: it names too many records")
    try:
        with zipfile.ZipFile(file) as opened:
            if opened.start_dir != directory:
                raise RefusedError("is damaged: its directory is not where it says")
            records = _records(opened.infolist(), directory)
            damaged = opened.testzip()
            if damaged:
                raise RefusedError(f"is damaged: the CRC of {damaged} is wrong")
            if "constants.pkl" in records:
                raise RefusedError("is a TorchScript program, which trainer does not run", SAVE)
            if "data.pkl" not in records:
                raise RefusedError("is not a checkpoint: it is a zip archive of something else", WANTED)
            if records["data.pkl"].file_size > pickles.LONGEST:
                raise RefusedError("is damaged: its pickle is too long")
            pickled = opened.read(records["data.pkl"])
    except RefusedError:
        raise
    except Exception as error:  # zipfile raises nearly anything
        raise RefusedError(f"is damaged: {error}") from error
    sizes = {name.removeprefix("data/"): r.file_size for name, r in records.items() if name.startswith("data/")}
    walk = pickles.Walk(size)
    walk.content(pickled)
    for storage in walk.storages.values():
        if sizes.get(storage.key) != storage.nbytes:
            raise RefusedError(f"is damaged: its record data/{storage.key} is missing or has another size")


def _directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Start and length of the list of records, checked before anything of that length is read."""
    tail_at = max(0, size - _END - _LOCATOR - _END64)
    file.seek(tail_at)
    tail = file.read()
    end = tail[-_END:]
    if len(end) < _END or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise RefusedError("is damaged: the end of its archive is missing")
    at = size - _END
    length, start = struct.unpack("<II", end[12:20])
    locator = tail[-_END - _LOCATOR : -_END]
    if locator[:4] == b"PK\6\7":
        at -= _LOCATOR + _END64
        end64 = tail[: -_END - _LOCATOR]
        if len(end64) != _END64 or end64[:4] != b"PK\6\6" or struct.unpack("<Q", locator[8:16]) != (at,):
            raise RefusedError("is damaged: the end of its archive is not as torch writes it")
        length, start = struct.unpack("<QQ", end64[40:56])
    if start + length != at:
        raise RefusedError("is damaged: its directory is not where it says")
    return start, length


def _records(entries: list[zipfile.ZipInfo], directory: int) -> dict[str, zipfile.ZipInfo]:
    """The records by their names below the archive's one folder."""
    folder = entries[0].filename.partition("/")[0] if entries else ""
    records: dict[str, zipfile.ZipInfo] = {}
    free_from = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        top, _, name = entry.filename.partition("/")
        if top != folder or not name or not name.isascii() or entry.orig_filename != entry.filename:
            raise RefusedError("is not a checkpoint: it is a zip archive of something else", WANTED)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise RefusedError("has compressed or encrypted records, which torch.save never writes", SAVE)
        ends = entry.header_offset + 30 + len(entry.filename) + entry.file_size
        if entry.file_size != entry.compress_size or entry.header_offset < free_from or ends > directory:
            raise RefusedError(f"is damaged: the size of {entry.filename} is wrong")
        free_from = ends
        records[name] = entry
    if len({name.lower() for name in records}) != len(entries):
        raise RefusedError("is damaged: it has two records of one name")
    return records
