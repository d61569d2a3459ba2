"""What is said of a run on the screen when it is done: its figures, what they come to, where they lie, what is next."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trainer.engine import hardest
from trainer.engine.metrics import Evaluation
from trainer.run import judgement
from trainer.run.directory import PAGE, PLOTS, TEST
from trainer.run.judgement import Ended, Judgement
from trainer.run.parts import Parts
from trainer.show import values
from trainer.show.report import Facts, Report
from trainer.system.errors import listed
from trainer.system.paths import argument, quoted
from trainer.system.shown import shortened

LETTERS = 24  # of a class's name


def show(
    screen: Report,
    parts: Parts,
    directory: Path,
    rows: judgement.Rows,
    result: dict[str, Any],
    test: Evaluation,
    suspects: Facts,
) -> None:
    """Show how a training has ended: `rows` are those of its metrics.jsonl, and `result` is its result.json."""
    ended = Ended(rows, result["best_epoch"], result["stopped"] or "")
    found = judgement.judged(ended, test, result["intervals"], parts.data.classes)
    title = f"{parts.name}: done" + (f", {found.title}" if found is not None else "")
    style = found.style if found is not None else "green"
    screen.panel(title, [*facts(parts, result, test, found), *suspects], style)
    screen.facts("", [*files(directory)])
    screen.commands(following(parts, directory, found))


def facts(parts: Parts, result: dict[str, Any], test: Evaluation, found: Judgement | None) -> Iterator[tuple[str, str]]:
    """The judgement, the figures of the test, the best epoch and the classes that are hardest."""
    if found is not None:
        yield "judgement", found.text
    shown = ("balanced_accuracy", "f1", "auc") if len(test.counts) == 2 else ("balanced_accuracy", "f1")
    spans = {k: v for k, v in result["intervals"].items() if k in ("test/accuracy", "test/mae", "test/r2")}
    yield "test", values.metrics(test.named("test", *shown), spans)
    if result["best_epoch"] is not None:
        yield "best epoch", f"{best(result)}, of {parts.state.epoch + bool(parts.state.batch)}"
    yield from hard(test, parts.data.classes or ())
    if result["stopped"]:
        yield "stopped", result["stopped"]
    rate = f", {result['samples_per_second']:,.0f} samples/s" if result["samples_per_second"] else ""
    yield "time", values.duration(result["seconds"]) + rate


def hard(test: Evaluation, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The classes that the model finds hardest, by name, and what it takes for what."""
    called = [shortened(name, LETTERS) for name in names]
    if worst := [f"{called[one.number]} ({one.recall:.1%} of {one.samples:,} found)" for one in hardest.worst(test)]:
        yield "worst", ", ".join(worst)
    mistakes = hardest.confused(test)
    if said := [f"{called[m.true]} taken for {called[m.guessed]} ({m.count:,} of {m.samples:,})" for m in mistakes]:
        yield "confused", ", ".join(said)


def files(directory: Path) -> Facts:
    """Where the run is, and which pictures and tables are in it."""
    found = [("run", str(directory))]
    if (directory / PAGE).exists():
        found.append(("report", str(directory / PAGE)))
    for label, end in (("pictures", ".png"), ("tables", ".csv")):
        folders = {
            folder: names
            for folder in (PLOTS, TEST)
            if (names := sorted(path.stem for path in (directory / folder).glob(f"*{end}")))
        }
        if folders:
            found.append((label, ", ".join(f"{folder}/ ({listed(names)})" for folder, names in folders.items())))
    if (directory / TEST / "predictions.csv").exists():
        found[-1] = "tables", f"{found[-1][1]}: predictions has the mistakes first"
    return found


def following(parts: Parts, directory: Path, found: Judgement | None) -> list[str]:
    """Commands to go on with after a training."""
    run = argument(directory)
    commands = [f"trainer eval {run}", f"trainer predict {run} {_input(parts)}"]
    if found is not None and found.longer and _can_be_longer(parts):
        commands.insert(0, f"trainer resume {run} epochs={2 * parts.state.epoch}")
    if parts.data.is_image:
        commands.append(f"trainer inspect {run} inspect.out=filters.png")
    if parts.config.tensorboard.enabled:
        commands.append(f"tensorboard --logdir {quoted(directory.parent)}")
    return commands


def best(result: dict[str, Any]) -> str:
    """The best epoch, and its objective."""
    name, value = result["objective"]["name"], result["objective"]["value"]
    return f"{result['best_epoch']} ({name} {values.metric(name, value)})"


def _can_be_longer(parts: Parts) -> bool:
    """Whether `trainer resume` takes more epochs: no schedule was laid out for these, and no steps are counted."""
    return not getattr(parts.config.scheduler, "whole", True) and parts.config.max_steps is None


def _input(parts: Parts) -> str:
    """What to predict for: the user's own files, if the data are such, until they type others."""
    path = getattr(parts.config.samples, "path", None)
    if isinstance(path, str):
        return quoted(f"input={path}")
    return "input=FOLDER" if parts.data.is_image else "input=FILE"
