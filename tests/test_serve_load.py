"""Eight clients of `trainer serve`, hostile ones among them: nobody is lost, nothing fails, nothing is opened."""

import json
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from processes import Machine
from serving import TABLE, digits, of_table, png, predictor, trained
from test_serve_connections import ODD, said_to
from test_serve_refusals import animated, bomb

from trainer.serve import app

pytestmark = pytest.mark.slow
REQUESTS, CLIENTS, HOSTILE = 1000, 8, 50
# Everything that Python tells of files, processes, connections and imports, and when; printed at the end.
WATCHED = """
import sys, time, json
seen = []
def watch(event, args):
    if event == "open" or event.split(".")[0] in ("os", "subprocess", "shutil", "ctypes", "import", "exec", "pickle"):
        seen.append((time.monotonic(), event, repr(args)[:200]))
    if event in ("socket.connect", "socket.getaddrinfo", "compile"):
        seen.append((time.monotonic(), event, repr(args)[:200]))
sys.addaudithook(watch)
from trainer.cli.main import main
code = main(sys.argv[1:])
print("SEEN", json.dumps(seen))
sys.exit(code)
"""
Send = Callable[[httpx.Client], int]


def posted(body: bytes | str, media: str, status: int, **headers: str) -> Send:
    """A request that must get this status, and an error and a hint."""

    def send(client: httpx.Client) -> int:
        answer = client.post("/predict", content=body, headers={"Content-Type": media, **headers})
        assert answer.status_code == status, (status, answer.text)
        assert answer.json().keys() >= {"error", "hint"}
        return answer.status_code

    return send


def asked(method: str, path: str, status: int, **headers: str) -> Send:
    def send(client: httpx.Client) -> int:
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == status, (status, answer.text)
        return answer.status_code

    return send


def raw(name: str) -> Send:
    """What is no proper request; it is answered with an error, or hung up on."""

    def send(client: httpx.Client) -> int:
        heard = said_to(int(str(client.base_url.port)), ODD[name][0])
        assert re.match(rb"HTTP/1.1 (2|4)\d\d |$", heard), (name, heard)
        return int(heard.split()[1]) if heard else 0

    return send


COMMON = (
    *(asked("GET", path, 404) for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/.env")),
    *(asked(method, "/predict", 405) for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH")),
    asked("GET", "/", 400, Host="rebound.example"),
    asked("GET", "/schema", 400, Host="127.0.0.1.evil.example"),
    posted("x", "text/plain", 415),
    posted("--x\r\n", "multipart/form-data; boundary=x", 415),
    posted("x", "image/png", 403, Origin="https://evil.example"),
    *map(raw, ODD),
)
ROWS = (
    *(posted(body, "application/json", 400) for body in ("", "{", "[" * 100_000, '[{"size": NaN}]', "[1e5, Infinity]")),
    posted('[{"size": ' + "9" * 100_000 + "}]", "application/json", 400),
    posted('[{"size": 1e999}]', "application/json", 422),
    posted('[{"__class__": "os.system", "path": "/etc/passwd"}]', "application/json", 422),
    posted(json.dumps([{f"c{i}": i for i in range(20_000)}]), "application/json", 422),
    posted(json.dumps([{}] * 2000), "application/json", 413),
    posted('{"rows": "../../etc/passwd"}', "application/json", 422),
    posted(json.dumps([{"colour": "\ud800", "size": [], "works": {}, "built": "\x00"}]), "application/json", 422),
    posted(b" " * (17 * 2**20), "application/json", 413),
    posted(png(digits(1)[0]), "image/png", 415),
)
IMAGES = (
    *(posted(body, "image/png", 422) for body in (b"", b"no image", b"\x89PNG\r\n\x1a\n", animated(), bomb(20_000))),
    *(posted(png(digits(1)[0])[:length], "image/png", 422) for length in (30, 100, 300)),
    posted(bomb(8000), "image/png", 413),
    posted(b"/etc/passwd", "application/octet-stream", 422),
    posted(b"<svg><image href='file:///etc/passwd'/></svg>", "image/svg+xml", 422),
    posted(b"%!PS\n(/etc/passwd) (r) file", "application/octet-stream", 422),
    posted(b"x" * (17 * 2**20), "image/png", 413),
    posted("[]", "application/json", 415),
)


@pytest.mark.parametrize("kind", ["images", "rows"])
def test_of_a_thousand_requests_none_is_lost(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    run = trained(folder, "model=lenet", "data.limit=100", "epochs=1") if kind == "images" else of_table(folder)
    good, hostile = (_images(run), (*COMMON, *IMAGES)) if kind == "images" else (_rows(run), (*COMMON, *ROWS))
    order: list[Send] = [*(hostile[n % len(hostile)] for n in range(HOSTILE))]
    order += [good[n % len(good)] for n in range(REQUESTS - HOSTILE)]
    random.Random(0).shuffle(order)

    running = machine.start("serve", run, "port=0", "serve.timeout=2", code=WATCHED)
    running.until_said(".* at http://127.0.0.1:")
    since = time.monotonic()
    found = re.search(r"http://127.0.0.1:\d+", running.out)
    assert found

    def client(number: int) -> list[int]:
        with httpx.Client(base_url=found[0], trust_env=False, timeout=60) as one:
            return [send(one) for send in order[number::CLIENTS]]

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = Counter(status for found in pool.map(client, range(CLIENTS)) for status in found)
    running.send(signal.SIGTERM)
    ended = running.wait(60)
    assert statuses.total() == REQUESTS
    assert statuses[200] >= REQUESTS - HOSTILE
    assert statuses[500] == statuses[503] == 0
    assert (ended.code, ended.err) == (143, "error: ended by SIGTERM\n")
    said, _, seen = ended.out.partition("SEEN ")
    assert "requests answered" in said
    own = repr(app.__file__)  # in which FastAPI looks up, once, where a function stands
    later = [(event, what) for when, event, what in json.loads(seen) if when > since]
    assert [entry for entry in later if not (entry[0] == "open" and own in entry[1])] == []


def _images(run: Path) -> list[Send]:
    """Requests with an image, each of which must be answered as the predictor answers it."""
    pixels = digits(16)
    expected = predictor(run).images(torch.from_numpy(np.stack(pixels))[..., None])

    def send(number: int) -> Send:
        body, likely = png(pixels[number]), float(expected.probability[number])

        def post(client: httpx.Client) -> int:
            answer = client.post("/predict", content=body, headers={"Content-Type": "image/png"})
            _check(answer, str(int(expected.predicted[number])), likely)
            return answer.status_code

        return post

    return [send(number) for number in range(len(pixels))]


def _rows(run: Path) -> list[Send]:
    """Requests with one row of the table, or several, each answered as it is alone."""
    from trainer.predict.tables import encoded

    header, *lines = TABLE.splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    model = predictor(run)
    expected = model.rows(encoded(model, {name: [row[name] for row in rows] for name in rows[0]}))
    classes = model.classes or ()

    def send(number: int, count: int) -> Send:
        def post(client: httpx.Client) -> int:
            answer = client.post("/predict", json={"rows": [rows[number]] * count})
            likely = float(expected.probability[number])
            _check(answer, classes[int(expected.predicted[number])], likely, count)
            return answer.status_code

        return post

    return [send(number, count) for number in range(len(rows)) for count in (1, 1, 30)]


def _check(answer: httpx.Response, predicted: str, probability: float, count: int = 1) -> None:
    assert answer.status_code == 200, answer.text
    answers: list[dict[str, Any]] = answer.json()["answers"]
    assert len(answers) == count
    for one in answers:
        assert one["predicted"] == predicted
        assert one["probability"] == pytest.approx(probability, rel=1e-4)
