"""Every hook into trainer's internals: what they rely on is `trainer.engine.loop.fit` with its arguments' names.

`fit(step, batches, plan, evaluate, hooks, state)` calls `batches.epoch(epoch, start)` once per epoch. The command line
runs as ever: `fit` is replaced as `trainer.engine.loop` is imported, so that nothing is imported earlier than a user's
command imports it.
"""

import importlib.util
import inspect
import io
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.contenders.job import Watch

Fit = Callable[..., Any]


@contextmanager
def fit(wrap: Callable[[Fit], Fit]) -> Iterator[None]:
    """Within the block, training calls `wrap(fit)` in place of `fit`."""
    undo: list[tuple[Any, Fit]] = []

    def change(module: Any) -> None:
        undo.append((module, module.fit))
        module.fit = wrap(module.fit)

    # What runs a training has its own name for it, once it is imported.
    for name in ("trainer.run.training", "trainer.engine.loop"):
        if name in sys.modules:
            change(sys.modules[name])
    watcher = _OnImport("trainer.engine.loop", change)
    if not undo:
        sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        if watcher in sys.meta_path:
            sys.meta_path.remove(watcher)
        for module, before in undo:
            module.fit = before
        training = sys.modules.get("trainer.run.training")
        if training is not None and undo:
            training.fit = undo[-1][1]  # type: ignore[attr-defined]


class _OnImport:
    """Changes a module as soon as it has been imported, by whomever."""

    def __init__(self, name: str, change: Callable[[Any], None]) -> None:
        self.name, self.change = name, change

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def run_and_change(module: Any) -> None:
            run(module)
            self.change(module)

        spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


def stamped(watch: Watch, first: list[float]) -> Callable[[Fit], Fit]:
    """`fit` that notes each epoch's start and its own end, and in `first` when the first batch goes into a step."""

    def wrap(fit: Fit) -> Fit:
        def stamping(*args: Any, **kwargs: Any) -> Any:
            kind = type(_bound(fit, args, kwargs)["batches"])
            epoch = kind.epoch

            def lapping(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
                watch.lap()
                batches: Iterator[Any] = iter(epoch(self, *args, **kwargs))
                if first:
                    return batches
                head = list(itertools.islice(batches, 1))
                first.append(time.monotonic())
                return itertools.chain(head, batches)

            kind.epoch = lapping
            try:
                return fit(*args, **kwargs)
            finally:
                watch.lap()
                kind.epoch = epoch

        return stamping

    return wrap


def timed(seconds: list[float]) -> Callable[[Fit], Fit]:
    """`fit` that notes how long it took."""

    def wrap(fit: Fit) -> Fit:
        def timing(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = fit(*args, **kwargs)
            seconds.append(time.perf_counter() - started)
            return result

        return timing

    return wrap


def alternating(with_hooks: list[float], without: list[float]) -> Callable[[Fit], Fit]:
    """`fit` epoch by epoch, with all hooks in one and with none in the next; the first one is warm-up.

    Which of the two comes first changes from pair to pair: with, without, without, with, ... A checkpoint that a
    thread writes counts to the epoch that began it, and does not disturb the next.
    """

    def wrap(fit: Fit) -> Fit:
        def one(given: dict[str, Any], epoch: int, hooks: Sequence[Any]) -> float:
            plan = replace(given["plan"], epochs=epoch + 1)
            started = time.perf_counter()
            fit(**{**given, "plan": plan, "hooks": hooks})
            for hook in hooks:
                getattr(hook, "wait", bool)()
            return time.perf_counter() - started

        def taking_turns(*args: Any, **kwargs: Any) -> Any:
            given = _bound(fit, args, kwargs)
            hooks = given["hooks"]
            ends = [hook.on_end for hook in hooks]
            for hook in hooks:
                hook.on_end = _nothing  # which is for the end of a training; this one goes on
            one(given, 0, hooks)
            for epoch in range(1, given["plan"].epochs):
                on = epoch % 4 in (1, 0)
                seconds = one(given, epoch, hooks if on else ())
                (with_hooks if on else without).append(seconds)
            for end in ends:
                end(given["state"])
            return given["state"]

        return taking_turns

    return wrap


def _nothing(state: Any) -> None:
    pass


def _bound(fit: Fit, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(fit).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def command(*words: str) -> None:
    """`trainer WORDS...` in this process, which must succeed."""
    from trainer.cli.main import main

    code = main(list(words))
    if code != 0:
        raise SystemExit(code)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@contextmanager
def terminal(path: Path) -> Iterator[None]:
    """Within the block, what is printed goes to a file that says it is a terminal: bars and all are drawn."""
    real, term = sys.stdout, os.environ.get("TERM")
    os.environ["TERM"] = "xterm-256color"
    with path.open("wb") as file, _Terminal(file, encoding="utf-8", line_buffering=True) as pretended:
        sys.stdout = pretended
        try:
            yield
        finally:
            sys.stdout = real
            if term is None:
                del os.environ["TERM"]
            else:
                os.environ["TERM"] = term
