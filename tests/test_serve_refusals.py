"""What clients of `trainer serve` do wrong: each mistake gets its status and one clear error, and nothing is harmed."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import Served, digits, of_table, png, predictor, served, trained

from trainer.serve.limits import Limits

ROW = {"colour": "red", "size": 1.5, "works": True, "built": "2020-01-05"}
IMAGE = {"Content-Type": "image/png"}
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def images_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("images"), "model=linear", "data.limit=100", "epochs=1")


@pytest.fixture(scope="module")
def of_images(images_run: Path) -> Iterator[Served]:
    with served(predictor(images_run), Limits(body=100_000, pixels=10_000, waiting=2, seconds=60)) as service:
        yield service


@pytest.fixture(scope="module")
def of_rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(predictor(of_table(tmp_path_factory.mktemp("table"))), Limits(rows=5)) as service:
        yield service


def refused(answer: httpx.Response, status: int, said: str) -> dict[str, Any]:
    """What the client is told, which must be JSON of an error and a hint."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    content: dict[str, Any] = answer.json()
    assert said in content["error"], content
    assert content["hint"]
    return content


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key != name}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("", 400, "cannot be read as JSON"),
        ("{", 400, "cannot be read as JSON"),
        (DEEP, 400, "nested too deeply"),
        ('{"rows": ' + "[" * 60 + "]" * 60 + "}", 400, "nested too deeply"),
        ('{"rows": [{"size": NaN}]}', 400, "NaN"),
        ('{"rows": [{"size": -Infinity}]}', 400, "Infinity"),
        ('{"rows": [{"size": ' + "9" * 5000 + "}]}", 400, "too many digits"),
        (b"\xff\xfe\x00", 400, "cannot be read as JSON"),
        ("null", 422, "no rows"),
        ("7", 422, "no rows"),
        ("{}", 422, "no rows"),
        ('{"rows": {}}', 422, "no rows"),
        ('{"rows": [], "more": 1}', 422, "no rows"),
        ("[]", 422, "there are no rows"),
        ('{"columns": {}}', 422, "there are no rows"),
        ('{"columns": [1]}', 422, "not an object of lists"),
        ('{"columns": {"size": 1}}', 422, "not an object of lists"),
        ('{"columns": {"size": [1], "colour": []}}', 422, "from 0 to 1 values"),
        (json.dumps([ROW] * 6), 413, "6 rows, and at most 5"),
        (json.dumps({"columns": {"size": [1.0] * 6}}), 413, "6 rows, and at most 5"),
        ("[1]", 422, "row 1: it is not an object"),
        (json.dumps([ROW, without("colour")]), 422, "row 2: column 'colour' is missing"),
        (json.dumps([{**ROW, "colour": None}]), 422, "row 1: column 'colour' has no value"),
        (json.dumps([{**ROW, "colour": " NA "}]), 422, "column 'colour' has no value"),
        (json.dumps([{**ROW, "colour": "mauve"}]), 422, "is 'mauve', which the model does not know; it knows 'blue',"),
        (json.dumps([{**ROW, "colour": ["red"]}]), 422, "takes a word, not a list"),
        (json.dumps([{**ROW, "colour": 1e300}]), 422, "takes a word, not 1e+300"),
        (json.dumps([{**ROW, "colour": "\ud800"}]), 422, "does not know"),
        (json.dumps([{**ROW, "size": "wide"}]), 422, "column 'size' takes a number, not 'wide'"),
        (json.dumps([{**ROW, "size": True}]), 422, "takes a number, not true"),
        (json.dumps([{**ROW, "size": {}}]), 422, "takes a number, not an object"),
        (json.dumps([{**ROW, "size": "inf"}]), 422, "a number of at most"),
        (json.dumps([{**ROW, "size": 10**39}]), 422, "a number of at most"),
        (json.dumps([ROW]).replace("1.5", "1e999"), 422, "a number of at most"),
        (json.dumps([{**ROW, "size": "1_000"}]), 422, "takes a number, not '1_000'"),
        (json.dumps([{**ROW, "works": "perhaps"}]), 422, "takes true, false, 'yes' or 'no', not 'perhaps'"),
        (json.dumps([{**ROW, "works": 1}]), 422, "takes true, false"),
        (json.dumps([{**ROW, "built": "soon"}]), 422, "a date written like '2026-01-31', not 'soon'"),
        (json.dumps([{**ROW, "built": 5}]), 422, "not 5"),
        (json.dumps([{**ROW, "colr": 1}]), 422, "column 'colr' is no column of the model"),
        (json.dumps([{**without("colour"), "color": "red"}]), 422, "'colour' is missing"),
        (json.dumps([{**ROW, **{f"c{i}" * 500: 1 for i in range(200)}}]), 422, "is no column of the model"),
        (json.dumps([{**ROW, "\x1b[31m\u202e": 1}]), 422, "column '\\x1b[31m\\u202e' is no column"),
        (json.dumps([{**ROW, "__proto__": 1}]), 422, "is no column"),
        (json.dumps([{**ROW, "size": "../../etc/passwd"}]), 422, "takes a number, not '../../etc/passwd'"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(of_rows: Served, body: str | bytes, status: int, said: str) -> None:
    answer = of_rows.client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    refused(answer, status, said)


def test_every_problem_of_several_rows_is_told_with_its_place(of_rows: Served) -> None:
    rows = [ROW, {**ROW, "size": "a", "works": "b"}, {**without("colour"), "colr": "red"}]
    content = refused(of_rows.client.post("/predict", json=rows), 422, "row 2: column 'size' takes a number, not 'a'")
    assert [(p["row"], p["column"]) for p in content["problems"]] == [
        (2, "size"),
        (2, "works"),
        (3, "colour"),
        (3, "colr"),
    ]
    assert content["problems"][3]["reason"].endswith("did you mean 'colour'?")


def test_what_is_missing_may_be_so_where_it_was_in_training(of_rows: Served) -> None:
    for value in (None, "", "NA", "?"):
        assert of_rows.client.post("/predict", json=[{**ROW, "size": value}]).status_code == 200
    assert of_rows.client.post("/predict", json=[without("size")]).status_code == 200
    assert of_rows.client.post("/predict", json=[{**ROW, "size": "1.5", "works": "YES"}]).status_code == 200


def animated() -> bytes:
    file, frames = io.BytesIO(), [Image.fromarray(pixels) for pixels in digits(2)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def bomb(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "the body is empty"),
        (b"no image", 422, "it is none of JPEG, PNG"),
        (png(digits(1)[0])[:200], 422, "cannot be read as an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "it is none of"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(r) file", 422, "it is none of"),  # a language, for which Pillow runs a program
        (animated(), 422, "it has 2 frames"),
        (bomb(101), 413, "the image has 101 x 101 pixels, and at most 10,000 are read"),
        (bomb(20_000), 422, "cannot be read as an image"),  # Pillow refuses it before its size is known
        (b"/etc/passwd", 422, "it is none of"),
        (b"x" * 100_001, 413, "longer than 100,000 bytes"),
    ],
)
def test_images_that_cannot_be_used_are_refused(of_images: Served, body: bytes, status: int, said: str) -> None:
    refused(of_images.client.post("/predict", content=body, headers=IMAGE), status, said)


def test_a_body_in_pieces_is_read_no_further_than_it_may_be_long(of_images: Served) -> None:
    pieces = (b"x" * 1000 for _ in range(1000))
    refused(of_images.client.post("/predict", content=pieces, headers=IMAGE), 413, "longer than 100,000 bytes")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "said"),
    [
        ("POST", "/predict", {}, 415, "no Content-Type"),
        ("POST", "/predict", {"Content-Type": "text/plain"}, 415, "another Content-Type"),
        ("POST", "/predict", {"Content-Type": "application/json"}, 415, "another Content-Type"),
        ("POST", "/predict", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "another Content-Type"),
        ("POST", "/predict", {**IMAGE, "Content-Encoding": "gzip"}, 415, "compressed"),
        ("GET", "/predict", {}, 405, "takes POST only"),
        ("POST", "/", {}, 405, "takes GET"),
        ("OPTIONS", "/predict", {"Access-Control-Request-Method": "POST"}, 405, "takes POST only"),
        ("TRACE", "/", {}, 405, "takes GET"),
        ("GET", "/docs", {}, 404, "nothing at this address"),
        ("GET", "/openapi.json", {}, 404, "nothing at this address"),
        ("GET", "/../../../../etc/passwd", {}, 404, "nothing at this address"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", {}, 404, "nothing at this address"),
        ("GET", "//etc/passwd", {}, 404, "nothing at this address"),
        ("GET", "/schema%00", {}, 404, "nothing at this address"),
        ("GET", "/", {"Host": "rebound.example"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "localhost.evil.example"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "127.0.0.1@evil.example"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "evil.example#127.0.0.1"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "192.168.1.4"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "localhost:no"}, 400, "the host that was asked for"),
        ("GET", "/", {"Host": "[::1"}, 400, "the host that was asked for"),
        ("POST", "/predict", {**IMAGE, "Origin": "https://evil.example"}, 403, "other sites"),
        ("POST", "/predict", {**IMAGE, "Origin": "null"}, 403, "other sites"),
        ("POST", "/predict", {**IMAGE, "Origin": "http://localhost:1"}, 403, "other sites"),
    ],
)
def test_requests_of_another_kind_are_refused(
    of_images: Served, method: str, path: str, headers: dict[str, str], status: int, said: str
) -> None:
    refused(of_images.client.request(method, path, headers=headers), status, said)


def test_its_own_names_and_page_are_let_in(images_run: Path) -> None:
    with served(predictor(images_run), hosts=["box.local"]) as service:
        port = service.port
        for host in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", "[::1]", f"[::1]:{port}", "box.local:1"):
            assert service.client.get("/health", headers={"Host": host}).status_code == 200
            own = {**IMAGE, "Host": host, "Origin": f"http://{host.lower()}"}
            assert service.client.post("/predict", content=png(digits(1)[0]), headers=own).status_code == 200
    with served(predictor(images_run), is_open=True) as service:
        assert service.client.get("/health", headers={"Host": "192.168.1.4:80"}).status_code == 200
        assert service.client.get("/health", headers={"Host": "rebound.example"}).status_code == 400


def test_more_requests_than_may_wait_are_told_to_come_again(of_images: Served) -> None:
    one = png(digits(1)[0])

    async def ask_many() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=of_images.client.base_url, trust_env=False, timeout=60) as client:
            return await asyncio.gather(*(client.post("/predict", content=one, headers=IMAGE) for _ in range(40)))

    answers = asyncio.run(ask_many())
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, 503, "too many requests are waiting")
            assert answer.headers["retry-after"] == "1"
    assert {answer.status_code for answer in answers} == {200, 503}


def test_images_that_a_model_never_sees_by_itself_are_sixteen_bits_and_transparent(of_images: Served) -> None:
    deep = np.linspace(0, 65535, 28 * 28, dtype=np.uint16).reshape(28, 28)
    clear = np.zeros((28, 28, 4), np.uint8)
    for pixels in (deep, clear):
        assert of_images.client.post("/predict", content=png(pixels), headers=IMAGE).status_code == 200
