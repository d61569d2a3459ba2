"""Where samples come from, and what is said of them, block by block: files of images, rows of tables."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data.table import reading
from trainer.data.table.columns import Number
from trainer.data.table.notes import Notes
from trainer.engine.ranks import ALONE, Ranks
from trainer.predict.decoding import Window, decoded
from trainer.predict.inputs import STDIN
from trainer.predict.predictor import Predictor
from trainer.predict.sharing import shared
from trainer.predict.tables import Reasons
from trainer.predict.threads import Threads
from trainer.predict.together import Encoders, Said, Together

_ROWS = 1000  # inputs that are written together
_VALUES = 2**21  # of all members and classes, that are


@dataclass(frozen=True)
class Block:
    """What is said of some inputs, which are files or the numbers of rows; and why some, by their place among them,
    cannot be used.
    """

    inputs: Sequence[str] | Sequence[int]
    said: Said
    reasons: Reasons

    def __len__(self) -> int:
        return len(self.inputs)


def gathered(blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks as larger ones: what is done for each block, and not for each input, takes as long for a few inputs."""
    waiting: list[Block] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= _ROWS or sum(one.said.each.numel() for one in waiting) >= _VALUES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: Sequence[Block]) -> Block:
    inputs: list[Any] = []
    reasons = Reasons()
    for block in blocks:
        reasons |= {len(inputs) + place: reason for place, reason in block.reasons.items()}
        inputs += block.inputs
    return Block(inputs, Said(torch.cat([block.said.each for block in blocks], 1)), reasons)


Say = Callable[[str], None]


def of_images(together: Together, paths: Iterator[str], ranks: Ranks = ALONE) -> Generator[Block]:
    """What is said of files of images, by all `ranks` together.

    Raises:
        DataError: This machine fails to read one.
    """
    with Threads(together.members[0].compute.device) as threads:

        def answer(window: Window) -> tuple[Said, Reasons]:
            with threads.beside(window.seconds):
                return together.images(window.pixels), window.reasons

        windows = decoded(paths, together.ways, ranks.rank, ranks.size)
        for window, said, reasons in shared(ranks, windows, answer, lambda window: window.paths):
            yield Block(window.paths, said, reasons)


def of_tables(together: Together, files: Sequence[str], say: Say, ranks: Ranks = ALONE) -> Generator[Block]:
    """What is said of the rows of tables; those of several are called `FILE:ROW`. `say` is told what is cleaned up.

    Each of several `ranks` reads all rows, and the models of each are given every so many-th block.

    Raises:
        DataError: One is no table, or has not the columns that the models take.
    """
    for file in files:
        with _placed(file, ranks) as path:
            blocks = _encoded(together, path, say)
            for (lines, _, _), said, reasons in shared(ranks, blocks, _of_rows(together), lambda block: block[0]):
                yield Block(lines if len(files) == 1 else [f"{file}:{line}" for line in lines], said, reasons)


Rows = tuple[list[int], list[Tensor], Reasons]


def _of_rows(together: Together) -> Callable[[Rows], tuple[Said, Reasons]]:
    return lambda block: (together.rows(block[1]), block[2])


@contextlib.contextmanager
def _placed(file: str, ranks: Ranks) -> Iterator[Path]:
    """The file of a table; what comes on standard input is put into a file, for it is gone through twice."""
    if file != STDIN:
        yield Path(file)
        return
    if not ranks.first:
        yield Path(ranks.told(""))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "standard input")
        with path.open("wb") as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
        ranks.told(str(path))
        yield path


def _encoded(together: Together, path: Path, say: Say) -> Iterator[Rows]:
    """The numbers of some rows, their features for each member, and why some cannot be used."""
    notes, encoders = Notes(path, strict=False), None
    names = {name for member in together.members for name in _names(member)}
    numbers = {name for member in together.members for name in _numbers(member)}
    for sheet in reading.parts(path, names, numbers, notes):
        if encoders is None:
            encoders = Encoders(together.members, [*sheet.columns], not sheet.header, path)
        start = 0
        for features, reasons in encoders.of(sheet.columns, together.rows_at_once):
            lines = sheet.lines[start : start + len(features[0])]
            start += len(lines)
            yield _with_unfit(lines, features, reasons, notes.unfit, start == len(sheet))
    for line in [*notes.lines, *(encoders.said() if encoders is not None else [])]:
        say(line)


def _with_unfit(
    lines: np.ndarray, features: Sequence[Tensor], reasons: Reasons, unfit: Reasons, last: bool
) -> tuple[list[int], list[Tensor], Reasons]:
    """Some rows and, in their order, those among them (or also after the `last`) whose cells do not fit the columns."""
    among = [line for line in unfit if last or line < lines[-1]]
    if not among:
        return lines.tolist(), [*features], reasons
    every = np.concatenate([lines, among])
    order = every.argsort(kind="stable")
    place = {int(old): new for new, old in enumerate(order)}
    moved = {place[old]: reason for old, reason in reasons.items()}
    moved |= {place[len(lines) + number]: unfit.pop(line) for number, line in enumerate(among)}
    wider = [torch.cat([own, own.new_zeros(len(among), own.shape[1])])[torch.from_numpy(order)] for own in features]
    return every[order].tolist(), wider, moved


def _names(member: Predictor) -> list[str]:
    return [column.name for column in member.plan] if member.plan is not None else list(member.columns)


def _numbers(member: Predictor) -> list[str]:
    if member.plan is None:
        return list(member.columns)
    return [column.name for column in member.plan if isinstance(column, Number)]
