"""`trainer serve`: a checkpoint as an HTTP service on this machine, with a page for the browser."""

import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key
from trainer.system.errors import CheckpointError, ConfigError
from trainer.system.extras import install
from trainer.system.shown import counted

if TYPE_CHECKING:
    from trainer.predict.predictor import Predictor
    from trainer.serve.limits import Limits
    from trainer.show.report import Report

SUMMARY = "a checkpoint as an HTTP service with a page for the browser"
EXAMPLES = """
trainer serve RUN                              http://127.0.0.1:8000
trainer serve RUN port=0                       any free port, which it says
trainer serve RUN serve.max_body=4 serve.log=true
curl --data-binary @image.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict
"""


@dataclass
class ServeOptions:
    """Who may ask `trainer serve`, and how much at once."""

    host: str = key("127.0.0.1", "the address to serve at; 0.0.0.0: all of this machine, for anybody", text=True)
    hosts: list[str] = key([], "names that this machine is asked by, beside localhost and addresses", text=True)
    max_body: float = key(16.0, "megabytes (MiB) of a request", above=0, maximum=1024)
    max_pixels: float = key(50.0, "million pixels of an image", above=0, maximum=178)
    max_rows: int = key(1000, "rows of a request", minimum=1, maximum=1_000_000)
    batch: int = key(64, "samples that go through the model at once, of as many requests as wait", minimum=1)
    queue: int = key(
        64, "requests that are worked on; further ones get 503 and may come again", minimum=1, maximum=10_000
    )
    timeout: float = key(10.0, "seconds for a request to arrive, and as many for its answer", above=0, maximum=3600)
    log: bool = key(False, "a line for each request")


@dataclass
class Serve(Config):
    """`trainer serve`: a checkpoint as an HTTP service on this machine."""

    ckpt: str = key(MISSING, "a run directory or a checkpoint file", text=True, positional=True)
    port: int = key(8000, "the port; 0: any free one", minimum=0, maximum=65535)
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "for a bare state_dict, the data it was trained on: the group `data`")
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = key("float32", "precision of the model", choices=("float32", "float64", "tf32", "bfloat16"))
    serve: ServeOptions = field(default_factory=ServeOptions, metadata={"doc": "who may ask, and how much at once"})


def run(config: Serve) -> dict[str, Any]:
    """Serve until Ctrl-C or another signal ends it.

    Raises:
        UserError: There is no such checkpoint, it does not say what its samples are like, or the port is taken.
        KeyboardInterrupt: A signal has ended it.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"trainer serve needs {error.name}", install("serve")) from error

    from trainer.show.beginning import beginning

    options = config.serve
    with beginning("serve", f"{config.ckpt}, device {config.device}") as screen:
        import torch

        from trainer.serve import server
        from trainer.serve.service import Service
        from trainer.system.machine import cores

    with server.listen(options.host, config.port) as listener:  # first, for loading takes longer
        service = Service(_predictor(config, screen), _limits(options))
        where, address = service.predictor.found.path, server.address_of(listener)
        # One core is left to what reads requests and writes answers: threads that wait for each other cost more.
        torch.set_num_threads(max(1, min(torch.get_num_threads(), cores() - 1)))
        is_open = not server.is_private(listener)
        if is_open:
            screen.warn(
                f"serve.host={options.host}: whoever reaches this machine can ask the model; there is no password, "
                "and nothing is encrypted"
            )

        def ready() -> None:
            gc.freeze()  # what torch has brought with it is not looked through while clients wait: that took 0.5 s
            screen.say(f"{where}: {service.name} at {address} (Ctrl-C ends it)", style="bold")

        def done(line: str, seconds: float) -> None:
            service.requests += 1
            if options.log:
                screen.say(f"{line} {1000 * seconds:.1f} ms")

        try:
            server.run(server.server(service, [*options.hosts, options.host], is_open, ready, done), listener)
        finally:
            screen.say(f"{counted(service.requests, 'request')} answered")
    return {"requests": service.requests}


def _predictor(config: Serve, screen: "Report") -> "Predictor":
    from trainer import checkpoint
    from trainer.engine import device
    from trainer.predict.predictor import Predictor

    compute = device.choose(config.device, config.precision)
    found = checkpoint.read(config.ckpt)
    if found.flaw:
        raise CheckpointError(found.flaw, "its answers would be no numbers: serve another checkpoint of the run")
    return Predictor(config, found, compute, screen)


def _limits(options: ServeOptions) -> "Limits":
    from trainer.serve.limits import Limits

    return Limits(
        body=round(options.max_body * 2**20),
        pixels=round(options.max_pixels * 1e6),
        rows=options.max_rows,
        batch=options.batch,
        waiting=options.queue,
        connections=max(Limits.connections, 4 * options.queue),
        seconds=options.timeout,
    )
