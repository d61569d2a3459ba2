"""What stands before every request: who may ask, what no answer goes without, and what becomes of an error of ours."""

import ipaddress
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainer.serve.problem import ProblemError, failed
from trainer.system import streams
from trainer.system.shown import shortened

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Guard:
    """An application of ASGI around another one.

    A page of another site can make a browser send requests here, under a name that it has made to lead to this machine
    (DNS rebinding). So the name that was asked for must be one of `hosts`, or an address if the service is `open` to
    others; and a request that says which page it comes from must come from ours.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], is_open: bool, done: Callable[[str, float], None]) -> None:
        """`done` is called with a line about each request that was answered, and the seconds that it took."""
        self.app, self.is_open, self.done = app, is_open, done
        self.hosts = {host.lower().rstrip(".") for host in (*LOOPBACK, *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                added = [header for header in (*HEADERS, POLICY) if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            self.check(scope)
            await self.app(scope, receive, guarded)
        except ClientDisconnect:
            pass
        except ProblemError as problem:
            await answer(problem, guarded)
        except Exception as error:
            streams.show_traceback(error)
            if not status:
                await answer(failed(), guarded)
        asked = shortened(f"{scope['method']} {scope['path']}", 100, "...")
        self.done(f"{asked} {status or 'gone'}", time.perf_counter() - begun)

    def check(self, scope: Scope) -> None:
        """Let a request pass.

        Raises:
            ProblemError: It asks for another host, comes from another site, or says two lengths.
        """
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        asked = [value for name, value in headers if name == b"host"]
        host = _host_of(asked[0]) if len(asked) == 1 else None
        if host is None or not self._is_ours(host):
            raise ProblemError(
                400, "the host that was asked for is not one of this service", "serve.hosts=[NAME] adds a name"
            )
        for name, value in headers:
            if name == b"origin" and _place_of(value) != asked[0].lower():
                raise ProblemError(403, "pages of other sites may not ask this service", "send it from a program")
        names = [name for name, _ in headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            raise ProblemError(
                400, "the request says two lengths", "send Content-Length or Transfer-Encoding, not both"
            )

    def _is_ours(self, host: str) -> bool:
        return host in self.hosts or (self.is_open and _is_address(host))


async def answer(problem: ProblemError, send: Send) -> None:
    """Send a problem as the whole answer."""
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})


def _place_of(origin: str) -> str:
    """Host and port of an origin, as they stand in the header Host; "" of one that has none, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_of(asked: str) -> str | None:
    """The host of a header Host, without its port and brackets; None if it is no host."""
    try:
        found = urlsplit(f"//{asked}")
        port = found.port
    except ValueError:
        return None
    if found.hostname is None or "@" in asked or found.path or found.query or found.fragment or port == 0:
        return None
    return found.hostname.rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
