"""Connections to `trainer serve` that are slow, too many, or speak no HTTP: they are ended, and others are served."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from serving import predictor, served, trained

from trainer.serve.limits import Limits


@pytest.fixture(scope="module")
def images_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("images"), "model=linear", "data.limit=100", "epochs=1")


def said_to(port: int, raw: bytes, pause: float = 0.0) -> bytes:
    """All that a client hears that sends these bytes, one by one if there is a `pause`, and then waits."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        heard = b""
        try:
            for byte in [raw[i : i + 1] for i in range(len(raw))] if pause else [raw]:
                client.sendall(byte)
                if pause:
                    client.settimeout(pause)
                    try:
                        heard += client.recv(65536)
                        break
                    except TimeoutError:
                        continue
            client.settimeout(60)
            while piece := client.recv(65536):
                heard += piece
        except ConnectionError:
            pass
        return heard


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
ODD = {  # what is sent, and how what is heard begins
    "nothing": (b"", b""),
    "half a head": (b"GET / HT", b"HTTP/1.1 408 "),
    "half a body": (HEAD + b"Content-Length: 1000\r\n\r\nab", b"HTTP/1.1 408 "),
    "half a body in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"HTTP/1.1 408 "),
    "half a head after a request": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT", b"HTTP/1.1 200 "),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"HTTP/1.1 400 "),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
    "no host in an old version": (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 400 "),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"HTTP/1.1 400 "),
    "an endless head": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000, b"HTTP/1.1 400 "),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", b"HTTP/1.1 400 "),
    "a length and chunks": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 400 ",
    ),
    "a length below 0": (HEAD + b"Content-Length: -5\r\n\r\n", b"HTTP/1.1 400 "),
    "a length in powers": (HEAD + b"Content-Length: 1e3\r\n\r\n", b"HTTP/1.1 400 "),
    "a length of many digits": (HEAD + b"Content-Length: " + b"9" * 15 + b"\r\n\r\n", b"HTTP/1.1 413 "),
    "another encoding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 400 "),
    "a blank in a header": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 400 "),
    "a chunk of any size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n", b"HTTP/1.1 400 "),
    "a proxy's request": (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 404 "),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 400 "),
    "a websocket": (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 ",
    ),
    "two at once": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2, b"HTTP/1.1 200 "),
}


def test_what_is_slow_or_no_http_is_ended(images_run: Path) -> None:
    with served(predictor(images_run), Limits(seconds=0.3)) as service:
        with ThreadPoolExecutor(len(ODD) + 1) as pool:
            dribbled = pool.submit(said_to, service.port, HEAD + b"X: " + b"y" * 100, 0.05)
            waiting = {name: pool.submit(said_to, service.port, raw) for name, (raw, _) in ODD.items()}
            heard = {name: one.result() for name, one in waiting.items()}  # they end, for the service hangs up
        assert dribbled.result().startswith(b"HTTP/1.1 408 ")
        assert service.client.get("/health").status_code == 200
    assert {name: heard[name] for name, (_, said) in ODD.items() if not heard[name].startswith(said)} == {}
    assert not any(b" 500 " in found for found in heard.values())
    assert heard["two at once"].count(b"HTTP/1.1 200 ") == 2


def test_connections_beyond_their_number_are_refused(images_run: Path) -> None:
    limits = Limits(connections=4)
    with served(predictor(images_run), limits) as service:
        many = [socket.create_connection(("127.0.0.1", service.port), timeout=60) for _ in range(limits.connections)]
        try:
            heard = said_to(service.port, b"")
            assert heard.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After" in heard
        finally:
            for one in many:
                one.close()


def test_a_client_that_takes_no_answer_is_hung_up_on(images_run: Path) -> None:
    with served(predictor(images_run), Limits(seconds=0.3)) as service, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", service.port))
        with pytest.raises(ConnectionError):  # the answers are more than the system keeps for it
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10**6)
        assert service.client.get("/health").status_code == 200
