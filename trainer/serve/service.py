"""What the service does with a request once its body is here, apart from HTTP."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from trainer import __version__
from trainer.predict.predictor import Answers, Predictor
from trainer.serve.batching import Batcher
from trainer.serve.images import Images
from trainer.serve.limits import Limits
from trainer.serve.problem import ProblemError
from trainer.serve.rows import Rows
from trainer.system.errors import DataError
from trainer.system.machine import cores

_READERS = 8  # threads that decode at once, at most


class Service:
    """A predictor that answers the requests of clients, several at a time.

    Images are decoded by a few threads, for that leaves Python's lock; the model has a thread of its own.
    """

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.name = predictor.config.called("model")
        self.input: Images | Rows = Images(predictor, limits) if predictor.is_image else Rows(predictor, limits)
        self.requests = 0  # that were answered, with whatever status
        self._working = 0
        readers = min(_READERS, cores()) if predictor.is_image else 1  # of JSON, one at a time: it takes memory
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._batcher: Batcher[tuple[Any, int]] | None = None

    async def start(self) -> None:
        """Start the model's thread, for the loop that runs now, and let it answer once: the first time takes long."""
        self._batcher = Batcher(self._answers, min(self.limits.batch, self.input.most))
        await self._batcher((self.input.nothing(), 1), 1)

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        if self._batcher is not None:
            self._batcher.close()

    async def answer(self, body: bytes) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            ProblemError: The body cannot be used, or too many requests wait.
        """
        if self._working >= self.limits.waiting:
            raise ProblemError(503, "too many requests are waiting", "send it again in a second")
        self._working += 1
        try:
            async with asyncio.timeout(self.limits.seconds):
                found = await self._answered(body)
        except TimeoutError as error:
            raise ProblemError(
                503, f"the answer took longer than {self.limits.seconds:g} s", "send it again, or send less at once"
            ) from error
        finally:
            self._working -= 1
        return {"model": self.name, "answers": found}

    async def _answered(self, body: bytes) -> list[dict[str, Any]]:
        assert self._batcher is not None
        loop = asyncio.get_running_loop()
        try:
            part, size = await loop.run_in_executor(self._readers, self.input.read, body)
        except DataError as error:  # want of memory
            raise ProblemError(503, error.message, "send it again later") from error
        found: list[dict[str, Any]] | ProblemError = await self._batcher((part, size), size)
        if isinstance(found, ProblemError):
            raise found
        return found

    def health(self) -> dict[str, Any]:
        """That the service is there, and what it has done."""
        return {"status": "ok", "model": self.name, "version": __version__, "requests": self.requests}

    def schema(self) -> dict[str, Any]:
        """What to send, and what comes back."""
        classes = self.predictor.classes
        return {
            "model": self.name,
            "task": "regression" if classes is None else "classification",
            "classes": None if classes is None else list(classes),
            "target": self._target,
            "input": self.input.schema(),
            "example": {"method": "POST", "path": "/predict", **self.input.example()},
        }

    @property
    def _target(self) -> str | None:
        """The column that is predicted, where it has a name."""
        target = getattr(self.predictor.config.data, "target", None)
        return target if isinstance(target, str) else None

    def _answers(self, parts: Sequence[tuple[Any, int]]) -> list[list[dict[str, Any]] | ProblemError]:
        """What the model says to each of several requests."""
        said = self.input.ask([part for part, _ in parts])
        rows, finite = as_rows(said), torch.isfinite(said.likely).all(1)
        found: list[list[dict[str, Any]] | ProblemError] = []
        place = 0
        for _, size in parts:
            if finite[place : place + size].all():
                found.append(rows[place : place + size])
            else:
                row = int((~finite[place : place + size]).nonzero()[0]) + 1
                found.append(
                    ProblemError(
                        422,
                        f"row {row}: the model's answer is not a number",
                        "its values are far from those that the model was trained on",
                    )
                )
            place += size
        return found


def as_rows(answers: Answers) -> list[dict[str, Any]]:
    """One answer per sample, the likeliest classes first; in regression the value, or several."""
    if answers.classes is None:
        values = answers.likely.tolist()
        return [{"value": row[0]} if len(row) == 1 else {"values": row} for row in values]
    classes = answers.classes
    order = answers.likely.argsort(dim=1, descending=True, stable=True)
    likely = answers.likely.gather(1, order).tolist()
    return [
        {
            "predicted": classes[predicted],
            "probability": probability,
            "classes": [{"class": classes[c], "probability": p} for c, p in zip(places, shares, strict=True)],
        }
        for predicted, probability, places, shares in zip(
            answers.predicted.tolist(), answers.probability.tolist(), order.tolist(), likely, strict=True
        )
    ]
