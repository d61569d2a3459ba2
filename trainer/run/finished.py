"""Whether a run that is to be resumed has come to its end, and what to say then. It needs no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.train import Train
from trainer.run import records
from trainer.system.paths import argument, quoted

if TYPE_CHECKING:  # it imports rich
    from trainer.show.report import Report

# How reasons to stop begin, and the keys that have to be given anew to go on after them.
_ENDED_BY = {"no improvement": "early_stopping.", "until=": "until=", "max_minutes=": "max_minutes="}
_LONGER = {
    "early_stopping.": "early_stopping.patience=null",
    "until=": "until=null",
    "max_minutes=": "max_minutes=null",
}


def told(config: Train, screen: "Report") -> dict[str, Any] | None:
    """Say that the run in `config.directory` is finished, if its result.json tells; the content of that, or None."""
    directory = config.directory
    assert directory is not None
    result = records.read_result(directory)
    epoch, step = result.get("epochs"), result.get("steps")
    if result.get("status") != "completed" or not (directory / "checkpoints" / "last.pt").is_file():
        return None
    if epoch is None or step is None or not is_done(config, epoch, step, result):
        return None
    say(directory, epoch, step, result, screen)
    return result


def is_done(config: Train, epoch: int | None, step: int | None, result: dict[str, Any]) -> bool:
    """Whether a completed training that stands at `epoch` and `step` has nothing left to do, as `config` is now."""
    if epoch is None or step is None:
        return False
    if epoch >= config.epochs or (config.max_steps is not None and step >= config.max_steps):  # type: ignore[operator]
        return True
    stopped = str(result.get("stopped"))
    keys = {key for reason, key in _ENDED_BY.items() if stopped.startswith(reason)}
    return bool(keys) and not any(override.startswith(key) for key in keys for override in config.typed)


def say(directory: Path, epoch: int, step: int, result: dict[str, Any], screen: "Report") -> None:
    """Say that a run is finished, and what can be done with it."""
    stopped = result.get("stopped")
    facts = [("finished", f"{epoch} epochs, {step:,} steps")]
    if stopped:
        facts.append(("stopped", str(stopped)))
    keys = [_LONGER[key] for reason, key in _ENDED_BY.items() if str(stopped).startswith(reason)]
    longer = keys[0] if keys else f"epochs={2 * epoch}"
    screen.panel(f"{directory} is finished", facts)
    anew = f"trainer train from={quoted(directory)}"
    commands = [f"trainer resume {argument(directory)} {longer}", anew, f"trainer eval {argument(directory)}"]
    screen.commands(commands, "train it for longer, start anew from its weights, or look at it")
