"""Requests per second and latency of `trainer serve`, asked by several clients of one process at a time.

    python -m benchmarks.serving RUN [--requests 2000] [--clients 1,8,32] [--side 32] [--rows 1] [KEY=VALUE ...]

A model of images gets one PNG of noise, a model of rows the example of its schema, over and over. Clients and service
share the cores of this machine; the clients are one thread that writes bytes that were made before and reads as little
as it can, and take their share of a core all the same.
"""

import argparse
import asyncio
import io
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image


@contextmanager
def service(run: str, words: list[str]) -> Iterator[tuple[int, int]]:
    """The port and process id of a service of its own."""
    program = [sys.executable, "-m", "trainer", "serve", run, "port=0", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = next((m for line in process.stdout if (m := re.search(r"http://[\d.]+:(\d+)", line))), None)
        if found is None:
            sys.exit("the service did not start")
        try:
            yield int(found[1]), process.pid
        finally:
            process.terminate()


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(port: int, side: int, rows: int) -> bytes:
    """A request as it goes over the wire."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/schema", timeout=60) as answer:
        schema = json.load(answer)
    if schema["input"]["kind"] == "image":
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)).save(file, "PNG")
        media, body = "image/png", file.getvalue()
    else:
        media, body = "application/json", json.dumps({"rows": schema["example"]["body"]["rows"] * rows}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def client(port: int, asked: bytes, count: int, seconds: list[float]) -> None:
    """Ask so many times over one connection, and note how long each answer takes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        begun = time.perf_counter()
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert found is not None
        await reader.readexactly(int(found[1]))
        seconds.append(time.perf_counter() - begun)
    writer.close()


async def clients(port: int, asked: bytes, count: int, several: int) -> tuple[float, list[float]]:
    """How long so many clients take for `count` requests together, and how long each request took."""
    seconds: list[float] = []
    begun = time.perf_counter()
    await asyncio.gather(*(client(port, asked, count // several, seconds) for _ in range(several)))
    return time.perf_counter() - begun, seconds


def main() -> None:
    """Measure, and print a line for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rows", type=int, default=1)
    given = parser.parse_args()
    with service(given.run, given.words) as (port, pid):
        asked = request(port, given.side, given.rows)
        asyncio.run(clients(port, asked, 200, 8))  # to warm up
        print(f"{len(asked):,} bytes a request\nclients  requests/s  median ms  99% ms  CPU ms each")
        for several in map(int, given.clients.split(",")):
            before = cpu(pid)
            whole, seconds = asyncio.run(clients(port, asked, given.requests, several))
            middle, last = 1000 * statistics.median(seconds), 1000 * statistics.quantiles(seconds, n=100)[98]
            each = 1000 * (cpu(pid) - before) / len(seconds)
            print(f"{several:7}  {len(seconds) / whole:10,.0f}  {middle:9.1f}  {last:6.1f}  {each:11.2f}")


if __name__ == "__main__":
    main()
