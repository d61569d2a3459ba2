"""`trainer serve`: answers equal those of the evaluation, in every form a request may have, and the command itself."""

import json
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from composing import composed
from conftest import Trainer
from processes import Machine
from serving import Served, digits, of_table, png, predictor, served, trained

from trainer.engine import device
from trainer.run.evaluating import Evaluated
from trainer.serve.limits import Limits
from trainer.serve.server import listen
from trainer.show.report import Report


@pytest.fixture(scope="module")
def images_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("images"), "model=linear", "data.limit=100", "epochs=1")


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def of_images(images_run: Path) -> Iterator[Served]:
    with served(predictor(images_run)) as service:
        yield service


@pytest.fixture(scope="module")
def of_rows(table_run: Path) -> Iterator[Served]:
    with served(predictor(table_run)) as service:
        yield service


def send(service: Served, pixels: np.ndarray) -> Any:
    answer = service.client.post("/predict", content=png(pixels), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["answers"]
    return found


def ask(service: Served, content: Any) -> httpx.Response:
    return service.client.post("/predict", json=content)


def test_an_image_is_answered_as_the_predictor_answers_it(of_images: Served) -> None:
    pixels = digits(3)
    expected = of_images.service.predictor.images(torch.from_numpy(np.stack(pixels))[..., None])
    for number, one in enumerate(pixels):
        found = send(of_images, one)
        assert found["predicted"] == str(int(expected.predicted[number]))
        assert found["probability"] == pytest.approx(float(expected.probability[number]), rel=1e-5)
        shares = {entry["class"]: entry["probability"] for entry in found["classes"]}
        assert [shares[str(c)] for c in range(10)] == pytest.approx(expected.likely[number].tolist(), rel=1e-5)
        assert [*shares.values()] == sorted(shares.values(), reverse=True)


def test_rows_are_answered_as_the_evaluation_answers_those_of_the_file(of_rows: Served, table_run: Path) -> None:
    config = composed("eval", f"ckpt={table_run}")
    compute = device.choose("cpu", "float32")
    model = Evaluated(config, str(table_run), "test", compute, Report(quiet=True), nonfinite=False)
    outcome = model.evaluator.outcome("test")
    header, *lines = (table_run.parent.parent / "table.csv").read_text().splitlines()
    names = header.split(",")
    lines = [lines[int(outcome.name(place)) - 2] for place in range(len(outcome.samples))]
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    answers = ask(of_rows, rows).json()["answers"]
    assert outcome.probabilities is not None
    for answer, likely in zip(answers, outcome.probabilities.tolist(), strict=True):
        shares = {entry["class"]: entry["probability"] for entry in answer["classes"]}
        assert [shares[name] for name in outcome.classes or ()] == pytest.approx(likely, rel=1e-5)
    # The same in other forms: numbers as numbers, without the target, missing ones left out, by columns.
    typed = [
        {"colour": row["colour"], "works": row["works"] == "yes", "built": row["built"]}
        | ({"size": float(row["size"])} if row["size"] else {})
        for row in rows
    ]
    across = {name: [row.get(name) for row in typed] for name in ("colour", "size", "works", "built")}
    for content in ({"rows": rows}, typed, {"rows": typed}, {"columns": across}):
        assert ask(of_rows, content).json()["answers"] == answers


def test_a_regression_is_answered_in_the_units_of_its_target(tmp_path: Path) -> None:
    run = trained(tmp_path, "model=linear", "data=line", "epochs=1")
    compute = device.choose("cpu", "float32")
    config = composed("eval", f"ckpt={run}")
    model = Evaluated(config, str(run), "test", compute, Report(quiet=True), nonfinite=False)
    rows = [{"x1": x} for (x,) in model.samples[torch.arange(5)].tolist()]
    expected = model.evaluator.outcome("test").outputs[:5, 0].tolist()
    with served(predictor(run)) as service:
        schema = service.client.get("/schema").json()
        assert schema["task"] == "regression"
        assert schema["classes"] is None
        assert [answer["value"] for answer in ask(service, rows).json()["answers"]] == pytest.approx(expected, rel=1e-4)


def test_the_schema_says_what_to_send_and_its_example_is_answered(of_images: Served, of_rows: Served) -> None:
    of_image = of_images.client.get("/schema").json()
    assert of_image["input"] | {"kind": "image", "height": 28, "width": 28, "channels": 1} == of_image["input"]
    assert of_image["classes"] == [*map(str, range(10))]
    schema = of_rows.client.get("/schema").json()
    assert schema["target"] == "flavour"
    columns = {column["name"]: column for column in schema["input"]["columns"]}
    assert {name: (c["kind"], c["may_be_missing"]) for name, c in columns.items()} == {
        "colour": ("category", False),
        "size": ("number", True),
        "works": ("boolean", False),
        "built": ("date", False),
    }
    assert columns["colour"]["words"] == ["blue", "green", "red"]
    assert columns["size"]["mean"] == pytest.approx(2.5, abs=0.3)
    assert ask(of_rows, schema["example"]["body"]).status_code == 200


def test_health_says_what_is_served_and_how_often_it_was_asked(of_images: Served) -> None:
    first = of_images.client.get("/health").json()
    assert (first["status"], first["model"]) == ("ok", "linear")
    assert of_images.client.head("/health").status_code == 200


def test_the_page_runs_its_own_script_and_loads_nothing(of_images: Served) -> None:
    answer = of_images.client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"https?://|//cdn|innerHTML|\bon\w+=|style=", answer.text)


def test_no_answer_names_the_server_or_may_be_read_by_other_sites(of_images: Served) -> None:
    for path in ("/", "/schema", "/health", "/nothing"):
        headers = of_images.client.get(path).headers
        assert "server" not in headers
        assert not any(name.startswith("access-control") for name in headers)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_requests_that_come_together_are_answered_together_and_each_gets_its_own(images_run: Path) -> None:
    pixels = digits(24)
    with served(predictor(images_run), Limits(batch=16)) as service:
        alone = [send(service, one)["classes"] for one in pixels]
        found: dict[int, Any] = {}
        ask_model, may, sizes = service.service.input.ask, threading.Event(), []

        def ask_later(parts: Any) -> Any:
            assert may.wait(60)
            sizes.append(len(parts))
            return ask_model(parts)

        service.service.input.ask = ask_later  # type: ignore[method-assign]
        threads = [
            threading.Thread(target=lambda number=number: found.update({number: send(service, pixels[number])}))
            for number in range(24)
        ]
        for thread in threads:
            thread.start()
        while service.service._working < 24:  # all are here
            pass
        may.set()
        for thread in threads:
            thread.join(60)
    assert sum(sizes) == 24
    assert max(sizes) <= 16
    assert len(sizes) < 24
    for number, classes in enumerate(alone):
        assert found[number]["predicted"] == classes[0]["class"]
        assert [e["probability"] for e in found[number]["classes"]] == pytest.approx(
            [e["probability"] for e in classes], rel=1e-4
        )


def test_a_port_that_is_taken_is_one_line(trainer: Trainer, images_run: Path) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        ran = trainer("serve", str(images_run), f"port={port}")
    assert (ran.code, ran.err) == (2, f"error: port={port}: it is taken\n  port=0 takes a free one\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve.host=203.0.113.7",), "serve.host=203.0.113.7: this machine has no such address"),
        (("serve.host=no-such-host.invalid",), "serve.host=no-such-host.invalid: there is no such address"),
        (("port=70000",), "port=70000"),
        (("serve.max_body=0",), "serve.max_body=0"),
    ],
)
def test_a_service_that_cannot_be_is_refused(trainer: Trainer, images_run: Path, words: Any, said: str) -> None:
    ran = trainer("serve", str(images_run), *words)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {said}")


def test_weights_that_are_not_finite_are_not_served(trainer: Trainer, images_run: Path, empty: Path) -> None:
    content = torch.load(images_run / "checkpoints" / "last.pt", weights_only=True)
    next(iter(content["model"].values()))[:] = float("nan")
    torch.save(content, empty / "nan.pt")
    ran = trainer("serve", "nan.pt")
    assert ran.code == 2
    assert ran.err.endswith("  its answers would be no numbers: serve another checkpoint of the run\n")


def test_without_the_extra_one_line_says_what_to_install(
    trainer: Trainer, images_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    ran = trainer("serve", str(images_run))
    assert (ran.code, ran.err) == (2, "error: trainer serve needs fastapi\n  pip install 'trainer-cli[serve]'\n")


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_service(machine: Machine, images_run: Path, signum: int, code: int) -> None:
    running = machine.start("serve", images_run, "port=0", "serve.log=true")
    running.until_said(".* at http://127.0.0.1:")
    found = re.search(r"http://127.0.0.1:\d+", running.out)
    assert found
    with httpx.Client(base_url=found[0], trust_env=False, timeout=60) as client:  # an open connection is closed
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/%1b[31m").status_code == 404
        running.send(signum)
        ended = running.wait(60)
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert re.search(r"^GET /health 200 [\d.]+ ms$", ended.out, re.MULTILINE)
    assert re.search(r"^GET /\\x1b\[31m 404", ended.out, re.MULTILINE)
    assert ended.out.endswith("2 requests answered\n")


@pytest.mark.slow
def test_a_request_that_is_under_way_is_answered_before_the_service_ends(machine: Machine, images_run: Path) -> None:
    running = machine.start("serve", images_run, "port=0")
    running.until_said(".* at http://127.0.0.1:")
    found = re.search(r"http://127.0.0.1:(\d+)", running.out)
    assert found
    port, body = int(found[1]), png(digits(1)[0])
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client, httpx.Client(trust_env=False) as other:
        client.sendall(head.encode() + body[:50])
        assert other.get(f"{found[0]}/health").status_code == 200  # so the half has been heard
        running.send(signal.SIGTERM)
        running.until(lambda: not _is_open(port))
        client.sendall(body[50:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert running.wait(60).code == 143


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_an_error_of_ours_is_told_to_the_owner_and_not_to_the_client(
    images_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(predictor(images_run)) as service:

        def fail(parts: Any) -> Any:
            raise RuntimeError("a secret of ours")

        service.service.input.ask = fail  # type: ignore[method-assign]
        answer = service.client.post("/predict", content=png(digits(1)[0]), headers={"Content-Type": "image/png"})
    assert answer.status_code == 500
    assert json.loads(answer.text).keys() == {"error", "hint"}
    assert "secret" not in answer.text
    assert "RuntimeError: a secret of ours" in capsys.readouterr().err
