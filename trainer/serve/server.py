"""The service on a port of this machine, until a signal ends it."""

import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn

from trainer.serve.app import make
from trainer.serve.guard import Guard
from trainer.serve.protocol import with_limits
from trainer.serve.service import Service
from trainer.system import signals
from trainer.system.errors import ConfigError, TerminatedError

GRACE = 2  # seconds for what is being answered when the service ends


def listen(host: str, port: int) -> socket.socket:
    """A socket that hears connections to an address and port of this machine; port 0 stands for any free one.

    Raises:
        ConfigError: The machine has no such address, or the port is taken or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"serve.host={host}: there is no such address", "serve.host=127.0.0.1 is this machine"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(f"serve.host={host}: this machine has no such address", "leave serve.host out") from error
        reason = {errno.EADDRINUSE: "it is taken", errno.EACCES: "it may not be used"}.get(error.errno or 0)
        raise ConfigError(f"port={port}: {reason or error.strerror}", "port=0 takes a free one") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Where the service is found, as it is typed in a browser."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:  # all addresses of this machine
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_private(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def server(
    service: Service, hosts: Sequence[str], is_open: bool, ready: Callable[[], None], done: Callable[[str, float], None]
) -> uvicorn.Server:
    """A server for a service: of the names `hosts`, or of any address if it is `open` to other machines."""
    app = Guard(make(service, ready), hosts, is_open, done)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=with_limits(service.limits),
            ws="none",
            loop="asyncio",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=round(service.limits.seconds) or 1,
            timeout_graceful_shutdown=GRACE,
        )
    )


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until a signal comes: what is being answered is finished first.

    Raises:
        KeyboardInterrupt: SIGINT has come, or TerminatedError of another signal.
    """
    closed: list[int] = []

    def close(signum: int) -> None:
        closed.append(signum)
        server.should_exit = True

    # uvicorn handles SIGINT and SIGTERM, and raises them again at the end.
    with signals.handled(close, *(signum for signum in signals.TERMINATING if signum != signal.SIGTERM)):
        server.run(sockets=[listener])
    if closed:
        raise TerminatedError(closed[0])
