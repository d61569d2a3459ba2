"""TensorBoard's event file, written in order by the thread that trains.

TensorBoard's own writer hands events to a thread: nobody knows how much of them is in the file, and on a full disk
the thread dies. The format is a sequence of records (TensorBoard's `RecordWriter`) of `Event` messages.
"""

import itertools
import operator
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.summary.writer.record_writer import RecordWriter

from trainer.run.directory import EVENTS
from trainer.system.atomic import storing
from trainer.system.inside import unlinked


class Events:
    """A new event file in `directory`. With `purge_from`, TensorBoard forgets older points from that step on.

    Raises (as every method does):
        StorageError: the file cannot be written.
    """

    def __init__(self, directory: Path, purge_from: int | None = None) -> None:
        started = int(time.time())
        for before in directory.glob(EVENTS):  # TensorBoard reads them in the order of their names
            stamp = before.name.split(".")[3]
            started = max(started, int(stamp) + 1 if re.fullmatch("[0-9]{1,10}", stamp) else 0)
        self.path = directory / f"events.out.tfevents.{started:010d}.{socket.gethostname()}.{os.getpid()}"
        with storing(self.path):
            self._file = open(self.path, "wb", opener=unlinked)  # noqa: SIM115
        self._writer = RecordWriter(self._file)
        self.write(Event(file_version="brain.Event:2"))
        if purge_from is not None:
            self.write(Event(session_log=SessionLog(status=SessionLog.START)), purge_from)

    def write(self, event: Event, step: int = 0, when: float | None = None) -> None:
        """Append one event."""
        event.step, event.wall_time = step, time.time() if when is None else when
        with storing(self.path):
            self._writer.write(event.SerializeToString())

    def summary(self, summary: Any, step: int = 0, when: float | None = None) -> None:
        """Append points of curves, a picture, or histograms."""
        self.write(Event(summary=summary), step, when)

    def graph(self, graph: GraphDef) -> None:
        """Append a model's graph."""
        self.write(Event(graph_def=graph.SerializeToString()))

    def flush(self) -> int:
        """Bring everything to the disk, and return the length of the file in bytes."""
        with storing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        with storing(self.path):
            self._file.close()


def buckets() -> list[float]:
    """The edges of TensorBoard's histograms: from 1e-12 to 1e20 by factors of 1.1, on both sides of 0."""
    # Multiplied one by one as in torch's writer: powers would differ in the last bits.
    growing = itertools.accumulate(itertools.repeat(1.1), operator.mul, initial=1e-12)
    edges = list(itertools.takewhile(lambda edge: edge < 1e20, growing))
    return [-edge for edge in reversed(edges)] + [0.0] + edges
