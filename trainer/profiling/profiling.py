"""A profile from beginning to end: measured, looked at by torch's profiler, tried, shown and left in a folder."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from trainer.config.train import Train
from trainer.profiling import candidates, kernels, place, telling, trying
from trainer.profiling.candidates import Seen
from trainer.profiling.clock import Clock
from trainer.profiling.session import Measured, Session, bare, opened
from trainer.profiling.startup import Listening
from trainer.profiling.watching import Replaced, watch_step, watched_batches
from trainer.run import heading
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.system.atomic import replacing, write_text
from trainer.system.paths import quoted


class Options(Protocol):
    """How it is measured: the keys `profile.*` of `trainer profile`."""

    out: str | None
    seconds: float
    steps: int
    tries: int


def run(config: Train, options: Options, screen: Report, start: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Profile a training; the content of profile.json. `start` is what has been done until now, in seconds.

    Raises:
        UserError, TrainingFailedError, StorageError: As for a training.
    """
    for line in bare(config):
        screen.say(line)
    command, hidden = _command(config), Listening(screen.say)
    begun = time.perf_counter()
    with place.made(options.out, _folder(config)) as folder, opened(config, hidden, folder) as training:
        others = ("the other parts, and the run's files", time.perf_counter() - begun - hidden.seconds)
        try:
            seen = _seen(training, options, screen, folder)
            seen.measured.start = [*start, *hidden.done, others, ("the first step", seen.measured.first_step)]
            telling.start(screen, seen.measured)
            telling.epoch(screen, seen.measured, seen.parts.train.batch_size * seen.parts.plan.accumulate)
            telling.beside(screen, seen)
            telling.operators(screen, seen)
            tried = _tried(seen, options, screen)
        finally:
            training.close({"status": "interrupted"})  # what reads batches is not waited for
    name = training.parts.name
    content = telling.as_json(seen, tried, name, command)
    with screen.doing("drawing"):
        _draw(seen, tried, f"{name}, {seen.parts.compute}", folder / place.PICTURE)
    write_text(folder / place.RESULT, json.dumps(content, indent=2) + "\n")
    if options.tries:
        telling.suggestion(screen, tried, seen.measured, command)
    screen.facts(
        "left",
        [
            ("table", str(folder / place.RESULT)),
            ("picture", str(folder / place.PICTURE)),
            ("trace", f"{folder / place.TRACE}, which https://ui.perfetto.dev opens"),
        ],
    )
    return content


def _seen(training: Training, options: Options, screen: Report, folder: Path) -> Seen:
    parts = training.parts
    with screen.doing("training epochs, watched and not by turns", long=True):
        session = Session(training, options.seconds)
        measured: Measured = session.run()
    with screen.doing("taking steps under torch's profiler"):
        clock, replaced = Clock(), Replaced()
        step = watch_step(parts.step, clock, replaced)
        batches = watched_batches(parts.train, parts.batches, clock)
        trace = folder / place.TRACE
        try:
            found = kernels.recorded(step, batches, parts.plan.accumulate, clock, options.steps, trace, session.wait)
        finally:
            replaced.put_back()
    return Seen(parts, measured, found, session.without_graph())


def _tried(seen: Seen, options: Options, screen: Report) -> list[trying.Tried]:
    tried: list[trying.Tried] = []
    for candidate in candidates.found(seen)[: options.tries]:
        with screen.doing(f"trying {candidate.words}", long=True):
            tried.append(trying.attempt(seen, candidate, options.seconds))
        if tried[-1].gains:
            break
    return tried


def _folder(config: Train) -> str:
    """What the folder of a profile is called, before a checkpoint has said of which model and data it is."""
    known = config.given("model") and config.given("data")
    return heading.name(config) if known else config.name or "from"


def _command(config: Train) -> str:
    """What is typed to train as was profiled."""
    return " ".join(["trainer train", *map(quoted, trying.typed(config))])


def _draw(seen: Seen, tried: Sequence[trying.Tried], subject: str, path: Path) -> None:
    from trainer.show.figures import profile
    from trainer.show.lettering import lettering

    measured = seen.measured
    operators = [(one.name, 1000 * one.seconds) for one in seen.kernels.operators]
    trials = [(one.candidate.words, one.ratios, one.gains) for one in tried if one.ratios]
    with lettering():
        lines = telling.lines(measured)
        figure = profile.draw(lines, measured.seconds, measured.moments, operators, trials, subject)
        with replacing(path) as file:
            figure.savefig(file, format="png")
