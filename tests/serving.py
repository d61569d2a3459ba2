"""What the tests of `trainer serve` share: small models, and a service with a real server on a free port."""

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from composing import composed
from PIL import Image

from trainer.cli.main import main
from trainer.engine import device
from trainer.predict.predictor import Predictor, load
from trainer.serve import server
from trainer.serve.limits import Limits
from trainer.serve.service import Service
from trainer.show.report import Report

SILENT = ("plots=false", "tensorboard.enabled=false")
TABLE = """colour,size,works,built,flavour
red,1.5,yes,2020-01-05,sweet
blue,2.5,no,2021-03-06,sour
red,,yes,2022-07-08,sweet
green,3.5,no,2020-11-09,sour
"""


def trained(folder: Path, *words: str) -> Path:
    """The directory of a run in `folder`."""
    assert main(["train", *words, *SILENT, f"output={folder}"]) == 0
    (found,) = folder.rglob("result.json")
    return found.parent


def of_table(folder: Path) -> Path:
    """A run on a table of words, numbers of which some are missing, yes and no, and dates."""
    path = folder / "table.csv"
    header, *lines = TABLE.splitlines()
    path.write_text("\n".join([header, *lines * 15]) + "\n")
    return trained(folder, "data=table", f"data.path={path}", "data.target=flavour", "model=mlp", "epochs=3")


def predictor(run: Path) -> Predictor:
    """That of a run."""
    return load(composed("serve", f"ckpt={run}"), str(run), device.choose("cpu", "float32"), Report(quiet=True))


@dataclass
class Served:
    """A service under way: asked by `client`, which knows its address."""

    service: Service
    client: httpx.Client
    port: int


@contextlib.contextmanager
def served(predictor: Predictor, limits: Limits = Limits(), **known: Any) -> Iterator[Served]:  # noqa: B008
    """A service on a free port, in a thread."""
    ready = threading.Event()
    service = Service(predictor, limits)
    with server.listen("127.0.0.1", 0) as listener:
        hosts, is_open = known.get("hosts", ()), known.get("is_open", False)
        running = server.server(service, hosts, is_open, ready.set, lambda line, seconds: None)
        thread = threading.Thread(target=server.run, args=(running, listener), daemon=True)
        thread.start()
        assert ready.wait(60)
        address = server.address_of(listener)
        try:
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                yield Served(service, client, listener.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def png(pixels: np.ndarray) -> bytes:
    """An image (H, W) or (H, W, C) as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def digits(count: int, side: int = 28) -> list[np.ndarray]:
    """Images (H, W) of nothing in particular, each another."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (side, side), dtype=np.uint8) for _ in range(count)]
