"""What is said of a run on the screen when it is done: its figures, where they lie, and what to do next."""

from pathlib import Path
from typing import Any

from trainer.engine.metrics import Evaluation
from trainer.run.parts import Parts
from trainer.show import values
from trainer.show.report import Facts, Report
from trainer.system.paths import argument, quoted


def show(screen: Report, parts: Parts, directory: Path, result: dict[str, Any], test: Evaluation, left: Facts) -> None:
    """Show how a training has ended: `result` is its result.json, and `left` what it leaves of its test."""
    if said := doubt(test):
        screen.warn(said)
    screen.panel(f"{parts.name}: done", facts(directory, result, test, left))
    screen.commands(following(parts, directory))


def facts(directory: Path, result: dict[str, Any], test: Evaluation, left: Facts) -> Facts:
    """Test metrics, the best epoch, the run directory, and what is `left` of the test."""
    found = [("stopped", result["stopped"])] if result["stopped"] else []
    if result["best_epoch"] is not None:
        found.append(("best epoch", best(result)))
    shown = ("balanced_accuracy", "f1", "auc") if len(test.counts) == 2 else ("balanced_accuracy", "f1")
    spans = {k: v for k, v in result["intervals"].items() if k in ("test/accuracy", "test/mae")}
    found.append(("test", values.metrics(test.named("test", *shown), spans)))
    rate = f", {result['samples_per_second']:,.0f} samples/s" if result["samples_per_second"] else ""
    found.append(("time", values.duration(result["seconds"]) + rate))
    found.append(("run", str(directory)))
    found += left
    return found


def following(parts: Parts, directory: Path) -> list[str]:
    """Commands to go on with after a training."""
    run = argument(directory)
    commands = [f"trainer eval {run}", f"trainer predict {run} input={'FOLDER' if parts.data.is_image else 'FILE'}"]
    if parts.data.is_image:
        commands.append(f"trainer inspect {run} inspect.out=filters.png")
    if parts.config.tensorboard.enabled:
        commands.append(f"tensorboard --logdir {quoted(directory.parent)}")
    return commands


def best(result: dict[str, Any]) -> str:
    """The best epoch, and its objective."""
    name, value = result["objective"]["name"], result["objective"]["value"]
    return f"{result['best_epoch']} ({name} {values.metric(name, value)})"


def doubt(test: Evaluation) -> str:
    """Why a model is of no use, or "": a constant answer does as well on the test split."""
    if (r2 := test.metrics.get("r2", 0.0)) < 0:
        return f"the test R² is {r2:.3g}, below 0: the mean of the targets does better"
    accuracy, share = test.metrics.get("accuracy", 1.0), max(test.counts, default=0) / max(1, sum(test.counts))
    if accuracy > share or share == 1:
        return ""
    return (
        f"the test accuracy, {accuracy:.1%}, is not above the share of the largest class, {share:.1%}: "
        "a constant answer does as well (see balanced accuracy; loss.class_weight=balanced may help)"
    )
