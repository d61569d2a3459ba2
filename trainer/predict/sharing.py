"""Inputs that several ranks go through together: each answers every so many-th block, and all learn what is said."""

import json
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import torch

from trainer.engine.ranks import Ranks
from trainer.predict.tables import Reasons
from trainer.predict.together import Said
from trainer.system.errors import DataError

T = TypeVar("T")


def shared(
    ranks: Ranks, blocks: Iterator[T], answer: Callable[[T], tuple[Said, Reasons]], mark: Callable[[T], Any]
) -> Iterator[tuple[T, Said, Reasons]]:
    """Each of the `blocks`, in their order, with what is said of it and why some of its inputs cannot be used.

    Every rank has the same blocks, of which this one answers its own, as long as the next has not been taken. `mark`
    gives plain values by which blocks are the same.

    Raises:
        DataError: Another rank has others.
    """
    if ranks.size == 1:
        for block in blocks:
            yield block, *answer(block)
        return
    while group := [*islice(blocks, ranks.size)]:
        mine = answer(group[ranks.rank]) if ranks.rank < len(group) else None
        marks = [zlib.crc32(json.dumps(mark(block)).encode()) for block in group]
        shape, reasons = ([*mine[0].each.shape], [*mine[1].items()]) if mine is not None else ([0, 0, 0], [])
        of_all = ranks.of_all([marks, shape, reasons])
        if any(theirs != marks for theirs, _, _ in of_all):
            raise DataError("ranks find different inputs", "give all machines the same files, which nobody changes")
        members, _, width = of_all[0][1]
        room = torch.zeros(members, max(shape[1] for _, shape, _ in of_all), width, dtype=torch.float64)
        if mine is not None:
            room[:, : shape[1]] = mine[0].each
        answers = ranks.gathered(room).unbind()
        for block, each, (_, (_, count, _), why) in zip(group, answers, of_all, strict=False):
            yield block, Said(each[:, :count]), {int(place): str(reason) for place, reason in why}
