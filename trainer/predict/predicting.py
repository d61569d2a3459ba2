"""`trainer predict` from its config to the table of predictions."""

import copy
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, Protocol

from trainer.config.base import Config
from trainer.engine import device
from trainer.engine.device import Compute
from trainer.engine.ranks import ALONE, Ranks
from trainer.predict import inputs, sources, writing
from trainer.predict.columns import Choice, Columns
from trainer.predict.predictor import Predictor, load
from trainer.predict.tally import Tally
from trainer.predict.together import Together
from trainer.predict.walking import PassedOver
from trainer.run.jobs import is_sweep, jobs_of
from trainer.show import values
from trainer.show.report import Report
from trainer.show.values import duration
from trainer.system.errors import ConfigError, TrainerError
from trainer.system.paths import expanded
from trainer.system.shown import counted


class PredictionError(TrainerError):
    """Some inputs could not be read; what could is written."""


class Options(Protocol):
    """The keys `predict.*`."""

    top: int
    all: bool
    classes: list[str] | None
    threshold: float | None
    best: int | None
    allow_nonfinite: bool


def follow(config: Any, ckpt: Sequence[str], given: Sequence[str], options: Options, ranks: Ranks) -> None:
    """Answer this rank's share of all that is `given`; the first one writes the table."""
    compute = device.choose(config.device, config.precision)
    together = Together(_members(config, ckpt, compute, Report(quiet=True), options))
    blocks, _ = _blocks(together, inputs.placed(given), lambda _: None, PassedOver(), ranks)
    for _ in blocks:
        pass


def run(
    config: Any,
    screen: Report,
    ckpt: Sequence[str],
    given: Sequence[str],
    out: str,
    options: Options,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Predict for all that is `given`, write the table to `out`, and show what it comes to; the other `ranks` follow.

    Raises:
        UserError: There is no such checkpoint or input, or they do not go together.
        PredictionError: Some inputs could not be read.
    """
    paths = inputs.placed(given)
    place = writing.place(out, paths)
    compute = device.choose(config.device, config.precision)
    with screen.doing("reading the model"):
        together = Together(_members(config, ckpt, compute, screen, options))
    first, notes, passed_over = together.members[0], list[str](), PassedOver()
    model = str(first.found.path)
    blocks, numbered = _blocks(together, paths, notes.append, passed_over, ranks)
    choice = Choice(options.top, options.all, tuple(options.classes or ()), options.threshold)
    columns = Columns(together, choice, numbered)
    tally, begun = Tally(columns), time.monotonic()
    with closing(blocks), writing.writing(place) as write:
        for block in sources.gathered(screen.track(blocks, None, "predicting", size=len, patience=0.5)):
            frame = columns.of(block.inputs, block.said, block.reasons)
            write(frame)
            tally.add(block, frame)
    what = "image" if first.is_image else "row"
    seconds = time.monotonic() - begun
    screen.table(*tally.rows())
    rest = tally.total - min(tally.total, len(tally.rows()[1]))
    if rest:
        screen.say(f"... and {counted(rest, 'more row')}", style="dim")
    if passed_over.count:
        notes.append(f"{counted(passed_over.count, 'file')} passed over, no images by their names: {passed_over.first}")
    speed = f", {tally.total / seconds:,.0f} per second" if seconds > 1 else ""
    facts = [
        ("checkpoint", model if len(together) == 1 else f"{len(together)} together, the first {model}"),
        ("model", first.config.called("model")),
        ("input", f"{counted(tally.total, what)} in {duration(seconds)}{speed}"),
        ("device", values.device(compute, ranks.size)),
        *tally.facts(),
        ("table", str(place)),
        *(("note", line) for line in notes),
    ]
    screen.panel("predict", facts, style="green" if not tally.broken else "red")
    if tally.broken:
        raise PredictionError(
            f"{tally.broken:,} of {counted(tally.total, what)} could not be used",
            f"the column error of {place.name} says why",
        )
    return {"inputs": tally.total, "errors": tally.broken}


def _blocks(
    together: Together, paths: Sequence[str], say: sources.Say, passed_over: PassedOver, ranks: Ranks
) -> tuple[Generator[sources.Block], bool]:
    """What is said of the inputs, and whether these are the rows of one table, which have numbers."""
    first = together.members[0]
    model = str(first.found.path)
    if first.is_image:
        return sources.of_images(together, inputs.images(paths, model, passed_over), ranks), False
    files = inputs.tables(paths, model)
    return sources.of_tables(together, files, say, ranks), len(files) == 1


def _members(
    config: Config, ckpt: Sequence[str], compute: Compute, screen: Report, options: Options
) -> list[Predictor]:
    """The predictor of each checkpoint, and of each job of a sweep."""
    files: list[str] = []
    for word in ckpt:
        if is_sweep(word):
            files += [str(job.directory) for job in jobs_of(expanded(word), options.best, "predict.best")]
        else:
            files.append(word)
    if not files:
        raise ConfigError("ckpt=[] is empty", "give a run directory or a checkpoint file")
    nonfinite = options.allow_nonfinite
    return [load(copy.deepcopy(config), file, compute, screen, nonfinite, with_data=False) for file in files]
