"""Bodies of requests, read up to a length and for so long, and all of them together up to a sum."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from trainer.serve.limits import Limits
from trainer.serve.problem import ProblemError


class Bodies:
    """Reads bodies as `limits` allow."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held = 0  # bytes of bodies in memory

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held within the block.

        Raises:
            ProblemError: It is too long, takes too long to arrive, or there are too many others.
        """
        body = bytearray()
        try:
            await self._read(request, body)
            yield bytes(body)
        finally:
            self._held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        said = request.headers.get("content-length", "0")
        self._check(int(said) if said.isascii() and said.isdigit() else 0)
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for chunk in request.stream():
                    self._held += len(chunk)
                    body += chunk
                    self._check(len(body))
        except TimeoutError as error:
            raise ProblemError(
                408, f"the body did not arrive within {self.limits.seconds:g} s", "send it faster, or a smaller one"
            ) from error

    def _check(self, length: int) -> None:
        if length > self.limits.body:
            raise ProblemError(
                413, f"the body is longer than {self.limits.body:,} bytes", "send less, or start with serve.max_body=MB"
            )
        if self._held > self.limits.held:
            raise ProblemError(503, "too many large requests are being sent", "send it again in a second")
