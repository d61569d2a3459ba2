"""HTTP/1.1 as uvicorn speaks it, with a limit to how long a request may take to be heard, and to how many talk."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from trainer.serve.limits import Limits
from trainer.serve.problem import ProblemError


class Protocol(H11Protocol):
    """One connection.

    uvicorn closes one on which nothing comes after an answer. It waits for as long as it takes for the head of the
    first request, for a head that comes letter by letter, for the rest of a body that nobody reads any more, and for a
    client that does not take its answer. Here each of these has the same time.
    """

    limits = Limits()
    _clock: asyncio.TimerHandle | None = None  # until which a request has to be here
    _untaken: asyncio.TimerHandle | None = None  # until which some of an answer has to be taken
    _heard = False  # something of the request that is waited for

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._end(ProblemError(503, "too many connections are open", "try again in a second"))
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_idle:
            self._heard = True
            self._wait()
        else:
            self._stop()

    def pause_writing(self) -> None:
        """More of an answer waits to be taken than is to be kept."""
        super().pause_writing()
        self._untaken = self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken some."""
        self._taken()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up after an answer, whether or not all of it was taken by now."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP, as JSON."""
        self._end(ProblemError(400, "this is no request of HTTP/1.1", "use a library or program for HTTP"))

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _wait(self) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(self.limits.seconds, self._give_up)

    def _stop(self) -> None:
        self._heard = False
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _give_up(self) -> None:
        self._clock = None
        cycle: Any = self.cycle
        if self._heard and cycle is None:  # a client whose requests were answered expects no other answer
            seconds = f"{self.limits.seconds:g} s"
            self._end(ProblemError(408, f"the request did not arrive within {seconds}", "send it faster"))
        else:
            self.transport.close()

    def _end(self, problem: ProblemError) -> None:
        """Hang up, and say why, unless an answer has begun."""
        cycle: Any = self.cycle
        if self._is_idle or not cycle.response_started:
            headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
            head = f"HTTP/1.1 {problem.status} -\r\n{headers}Connection: close\r\n\r\n"
            self.transport.write(head.encode() + problem.body)
        self.transport.close()
        if not self._is_idle:  # whoever answers learns that nobody listens
            cycle.disconnected = True
            cycle.message_event.set()


def with_limits(limits: Limits) -> type[Protocol]:
    """The protocol with these limits."""
    return type("Limited", (Protocol,), {"limits": limits})
