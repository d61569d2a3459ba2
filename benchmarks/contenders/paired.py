"""Two ways taking turns in one process, where processes differ more than what is to be seen.

`line` and `quadratic`: the fit of the recipe, as the command line runs it, and the bare loop. `conveniences`:
epochs of `mnist_lenet` with everything that watches training, and with nothing.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders import inside
from benchmarks.contenders.job import Watch

Timed = dict[str, list[float]]


def line(pairs: int, limit: int | None) -> Timed:
    """One thousand steps on forty points; `limit` makes them fewer."""
    return _fits("line", pairs, limit or 1000)


def quadratic(pairs: int, limit: int | None) -> Timed:
    """Ten thousand steps on ten points; `limit` makes them fewer."""
    return _fits("quadratic", pairs, limit or 10_000)


def conveniences(pairs: int, limit: int | None) -> Timed:
    """Epochs with TensorBoard, metrics.jsonl, progress bar, and a checkpoint after each; and epochs without."""
    on: list[float] = []
    off: list[float] = []
    words = [f"epochs={1 + 2 * pairs}", "checkpoint.every_epochs=1", *([f"data.limit={limit}"] if limit else [])]
    with inside.terminal(Path("screen.log")), inside.fit(inside.alternating(on, off)):
        inside.command("train", "experiment=mnist_lenet", "device=cpu", *words)
    return {"with": on, "without": off}


def _fits(recipe: str, pairs: int, epochs: int) -> Timed:
    """The first pair is warm-up; then the two take turns in going first."""
    ours: list[float] = []
    bare: list[float] = []

    def fit() -> None:
        with inside.terminal(Path("screen.log")), inside.fit(inside.timed(ours)):
            inside.command("train", f"experiment={recipe}", "device=cpu", f"epochs={epochs}", "plots=false")

    def loop() -> None:
        bare.append(_bare(recipe, epochs))

    for number in range(1 + pairs):
        for turn in (fit, loop) if number % 2 else (loop, fit):
            turn()
    return {"trainer": ours[1:], "bare": bare[1:]}


def _bare(recipe: str, epochs: int) -> float:
    """The recipe's model, loss and optimizer in a loop by hand; its seconds."""
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    from trainer import models

    def half_sse(outputs: Tensor, targets: Tensor) -> Tensor:
        return 0.5 * (outputs - targets).square().sum()

    loss_of: Callable[[Tensor, Tensor], Tensor]
    if recipe == "line":
        x = torch.linspace(-1, 1, 40)[:, None]
        y = 2 * x + 5 + torch.rand(40, 1)
        model, lr, loss_of = models.make("linear", in_features=1, out_features=1), 0.01, F.mse_loss
    else:
        x = torch.linspace(0, 1, 10)[:, None]
        y = x**2 - 0.5 * x + 1.5625
        model = models.make("mlp", in_features=1, out_features=1, hidden=2, activation="sigmoid")
        lr, loss_of = 0.1, half_sse
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    started = time.perf_counter()
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return time.perf_counter() - started


WORK = {"line": line, "quadratic": quadratic, "conveniences": conveniences}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=sorted(WORK))
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    Watch().write(timed=WORK[asked.work](asked.pairs, asked.limit))


if __name__ == "__main__":
    main()
