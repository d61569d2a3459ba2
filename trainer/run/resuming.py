"""A training that is continued exactly, in its own run directory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config.kept import may_say
from trainer.config.train import Train
from trainer.data.described import fingerprint
from trainer.engine.loop import Hook
from trainer.engine.ranks import ALONE, Ranks
from trainer.run import directory as runs
from trainer.run import finished, origin, project, records
from trainer.run.parts import Parts, assemble
from trainer.run.ranks import sameness
from trainer.run.restoring import check_resumable
from trainer.run.summary import environment
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.system.errors import CheckpointError, DataError, FormatError, RunError
from trainer.system.paths import quoted


def run(config: Train, screen: Report, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Resume the run in `config.directory`, or say that it is finished; the content of result.json.

    The other `ranks` follow.

    Raises:
        UserError: there is nothing to resume, or the data are not those that the training began with.
        TrainingFailedError, InterruptedRunError: the run directory says how it ended.
    """
    directory = config.directory
    assert directory is not None
    with runs.locked(directory):
        found, before = _latest(directory, screen), records.read_result(directory)
        epoch, step = found.training.get("epoch"), found.training.get("step")
        if before.get("status") == "completed" and finished.is_done(config, epoch, step, before):
            ranks.told("")
            finished.say(directory, found.training["epoch"], found.training["step"], before, screen)
            return before
        with _continued(config, screen, directory, found, ranks=ranks) as training:
            return training.run()


@contextmanager
def opened(
    config: Train,
    screen: Report,
    directory: Path,
    beside: Parts | None = None,
    watching: Sequence[Hook] = (),
    ranks: Ranks = ALONE,
) -> Iterator[Training]:
    """The training to be resumed within the block; `beside`, `watching` and `ranks` as in `starting.opened`."""
    with runs.locked(directory):
        found = _latest(directory, screen)
        with _continued(config, screen, directory, found, beside, watching, ranks) as training:
            yield training


@contextmanager
def _continued(
    config: Train,
    screen: Report,
    directory: Path,
    found: Checkpoint,
    beside: Parts | None = None,
    watching: Sequence[Hook] = (),
    ranks: Ranks = ALONE,
) -> Iterator[Training]:
    look = project.look()
    take_choices(config, found)
    ranks.told(str(found.path))
    parts = assemble(config, screen, found, beside, ranks=ranks)
    sameness.check(parts)
    if found.description["fingerprint"] != fingerprint(parts.data.train):
        raise DataError(
            f"data={config.title('data')}: the samples are not those that {directory} was trained on",
            f"bring them back, or start a new run from its weights: trainer train from={quoted(directory)}",
        )
    try:
        training = Training(parts, directory, screen, found, watching=watching).open()
        _set_aside(directory, found)
        typed_now = [override for override in config.typed if not override.startswith("run=")]
        records.write_overrides(directory, [*records.overrides(directory), *typed_now])
        state = training.state
        origin.add(directory, environment(parts.compute, ranks.size), look.answer(), state.epoch, state.step)
        # Until this ends, what the run had come to is not how it ended.
        records.write_result(directory, records.read_result(directory) | {"status": "interrupted"})
        yield training
    finally:
        screen.close()


def take_choices(config: Train, found: Checkpoint) -> None:
    """Let `config` be of the choices that the training in the checkpoint began with.

    Raises:
        CheckpointError: There is no training in it that can be resumed.
    """
    check_resumable(found, finite=config.on_nan != "ignore")
    config.choices.update(found.description["choices"])


def _latest(directory: Path, screen: Report) -> Checkpoint:
    """last.pt, or previous.pt where that cannot be read.

    Raises:
        RunError: there is neither.
        CheckpointError: neither can be read, or a trainer of another version wrote it.
    """
    paths = [directory / "checkpoints" / name for name in ("last.pt", "previous.pt")]
    there = [path for path in paths if path.exists()]
    if not there:
        words = records.overrides(directory)
        again = " ".join(map(quoted, words)) if all(map(may_say, words)) else "..."
        raise RunError(f"{directory} has no checkpoint yet", f"start it again: trainer train {again}".rstrip())
    for path in there:
        try:
            found = checkpoint.read(path)
        except CheckpointError as error:
            if path == there[-1] or isinstance(error, FormatError):
                raise
            screen.warn(f"{error.message}; the run is resumed from {there[-1].name}, the one before it")
        else:
            return found
    raise AssertionError


def _set_aside(directory: Path, found: Checkpoint) -> None:
    """Keep a damaged last.pt for a look: the next one would make it the previous one."""
    last = directory / "checkpoints" / "last.pt"
    if found.path != last and last.exists():
        last.rename(last.with_name("damaged.pt"))
