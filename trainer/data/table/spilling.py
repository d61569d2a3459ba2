"""The features of a table that is larger than memory: made column by column, kept row by row in a file of the cache."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from trainer.data.cache import Stored, source_of, stored
from trainer.data.cache_entry import Allocate, Declared, Facts
from trainer.data.digests import of_rows
from trainer.data.sets.table import Table
from trainer.data.table.columns import Column, described
from trainer.data.table.notes import Notes

PIECE = 2**26  # bytes of features that are in memory while columns become rows
Made = Iterator[tuple[str, np.ndarray]]  # the features (N, some) of the next column, for one split after the other


def kept(
    config: Table,
    paths: Sequence[Path],
    plan: Sequence[Column],
    rows: Mapping[str, np.ndarray],
    notes: Notes,
    make: Callable[[], Made],
) -> Stored:
    """The features of each split as float32 (N, F), in an entry of the cache that these files, plan and rows have.

    What is noted of them when they are made is kept with them.

    Raises:
        DataError: There is no room for them.
    """
    width = sum(len(column.features) for column in plan)
    shapes = {name: (len(index), width) for name, index in rows.items()}
    which = {name: int(of_rows(index[None].astype(np.int64))[0]) for name, index in rows.items()}
    settings = {
        "path": str(paths[0].resolve()),
        "plan": [*map(described, plan)],
        "rows": which,
        "strict": config.strict,
    }

    def filled(allocate: Allocate) -> Facts:
        before = len(notes.lines)
        _fill(allocate, shapes, make())
        return {"notes": notes.lines[before:]}

    declared = Declared({}, facts={"notes": _are_notes}, features=shapes)
    source = source_of(paths, paths[0].parent)
    found = stored(config.cache, paths[0].name, settings, source, filled, declared, config.cache_limit)
    notes.lines += [line for line in found.facts["notes"] if line not in notes.lines]
    return found


def _are_notes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) and line.isprintable() for line in value)


def _fill(allocate: Allocate, shapes: Mapping[str, tuple[int, int]], made: Made) -> None:
    """Write columns one after the other into a file that nobody sees, and then its rows into the arrays of an entry."""
    arrays = {name: allocate(name, shape, "float32") for name, shape in shapes.items()}
    with tempfile.TemporaryFile(dir=allocate.folder) as strips:
        places: dict[str, list[int]] = {name: [] for name in shapes}
        for name, features in made:
            for feature in features.T:
                places[name].append(strips.tell())
                strips.write(np.ascontiguousarray(feature, np.float32).data)
            allocate.alive()
        strips.flush()
        for name, array in arrays.items():
            _transpose(strips, places[name], array, allocate)


def _transpose(strips: IO[bytes], places: Sequence[int], array: np.ndarray, allocate: Allocate) -> None:
    count, width = array.shape
    size = max(1, PIECE // (4 * width))
    for start in range(0, count, size):
        some = np.empty((min(size, count - start), width), np.float32)
        for number, place in enumerate(places):
            strips.seek(place + 4 * start)
            some[:, number] = np.frombuffer(strips.read(4 * len(some)), np.float32)
        array[start : start + len(some)] = some
        if isinstance(array, np.memmap):
            array.flush()  # or all of it would wait in memory for being written
        allocate.alive()
