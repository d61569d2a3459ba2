"""Requests that come together go through the model together: one thread runs it, and takes all that wait."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class _Waiting(Generic[Part]):
    part: Part
    size: int  # samples
    answer: "asyncio.Future[Any]"


class Batcher(Generic[Part]):
    """Calls `model` in a thread of its own, with the parts of as many requests as wait, up to `most` samples.

    `model` returns one answer for each part. Nobody waits for a batch to fill: while the model is busy, requests
    gather, and when it is not, one that is alone is answered at once.
    """

    def __init__(self, model: Callable[[Sequence[Part]], Sequence[Any]], most: int) -> None:
        self.model, self.most = model, most
        self.batches, self.samples = 0, 0
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Waiting[Part] | None] = queue.SimpleQueue()
        # A daemon: what the model is at when the service ends, nobody waits for any more.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def __call__(self, part: Part, size: int) -> Any:
        """The model's answer to one request of `size` samples."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.put(_Waiting(part, size, answer))
        return await answer

    def close(self) -> None:
        """End the thread after what it is at."""
        self._waiting.put(None)
        self._thread.join(timeout=1.0)

    def _work(self) -> None:
        ahead: _Waiting[Part] | None = None
        while (first := ahead or self._waiting.get()) is not None:
            batch, ahead, ended = self._gathered(first)
            batch = [one for one in batch if not one.answer.cancelled()]  # whose client has gone
            if batch:
                self._answer(batch)
            if ended:
                return

    def _gathered(self, first: _Waiting[Part]) -> tuple[list[_Waiting[Part]], _Waiting[Part] | None, bool]:
        """`first` and what waits behind it; the one that has no room any more; and whether there will be no others."""
        batch, size = [first], first.size
        while size < self.most:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, None, True
            if size + following.size > self.most:
                return batch, following, False
            batch.append(following)
            size += following.size
        return batch, None, False

    def _answer(self, batch: list[_Waiting[Part]]) -> None:
        self.batches += 1
        self.samples += sum(one.size for one in batch)
        error: Exception | None = None
        answers: Sequence[Any] = [None] * len(batch)
        try:
            answers = self.model([one.part for one in batch])
        except Exception as failure:
            error = failure
        try:
            self._loop.call_soon_threadsafe(_deliver, batch, answers, error)
        except RuntimeError:  # the loop has been closed: the service has ended
            return


def _deliver(batch: Sequence[_Waiting[Any]], answers: Sequence[Any], error: Exception | None) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.answer.done():
            continue
        if error is None:
            one.answer.set_result(answer)
        else:
            one.answer.set_exception(error)
