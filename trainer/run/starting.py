"""A training that is started, in a new run directory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config.train import Train
from trainer.engine.loop import Hook
from trainer.engine.ranks import ALONE, Ranks
from trainer.run import directory as runs
from trainer.run import meeting, origin, project, records
from trainer.run.parts import Parts, assemble
from trainer.run.ranks import sameness
from trainer.run.summary import cut_short, environment
from trainer.run.training import Training
from trainer.show.report import Report
from trainer.system.errors import CheckpointError, ConfigError
from trainer.system.paths import expanded


def run(config: Train, screen: Report) -> dict[str, Any]:
    """Train and test as `config` says, in a new run directory; the content of result.json.

    Raises:
        UserError: nothing was started.
        TrainingFailedError, InterruptedRunError: the run directory says how it ended.
    """
    with opened(config, screen) as training:
        return training.run()


@contextmanager
def opened(
    config: Train,
    screen: Report,
    directory: Path | None = None,
    beside: Parts | None = None,
    watching: Sequence[Hook] = (),
    reproduced: Path | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[Training]:
    """The training that `config` asks for, to be run within the block; in `directory`, or a new one.

    `beside` are the parts of another training with the same data, which are shared; `watching` are the caller's hooks;
    `reproduced` is the run whose config this is, which has been completed by that of the checkpoint it began with.
    The other `ranks` follow.
    """
    look = project.look()  # which goes on while the data are read
    weights = begun_with(config, screen, completed=reproduced is not None)
    parent = None
    if weights is not None:
        parent = {"path": str(weights.path), **{k: weights.training.get(k) for k in ("epoch", "step")}}
    parts = assemble(config, screen, weights, beside, anew=True, ranks=ranks)
    sameness.check(parts)
    if weights is not None:
        meeting.warn(weights, config, parts.data, screen)
    if directory is None:
        directory = runs.claim(expanded(config.output) / parts.name)
    try:
        with runs.locked(directory):
            records.write_overrides(directory, config.typed)
            origin.write(directory, environment(parts.compute, ranks.size), look.answer(), parent, reproduced)
            yield Training(parts, directory, screen, parent=parent, watching=watching).open()
    except BaseException as error:
        if not (directory / "result.json").exists():  # the run ended before it had anything to say
            records.write_result(directory, {"name": parts.name, "metrics": {}, **cut_short(error)})
        raise
    finally:
        screen.close()


def begun_with(config: Train, screen: Report, completed: bool = False) -> Checkpoint | None:
    """The checkpoint whose weights the training begins with, None without one; `config` is `completed` by it.

    Raises:
        UserError: There is no such checkpoint, or it cannot be begun with.
    """
    if config.from_ is None:
        return None
    weights = checkpoint.read(config.from_, "from")
    _check_finite(weights, config, screen)
    if not completed:
        adopt(config, weights, other_data=True)
    if config.written("model").get("weights") is not None:
        raise ConfigError("from= and model.weights= are two sets of weights to start from", "leave one of them out")
    return weights


def _check_finite(weights: Checkpoint, config: Train, screen: Report) -> None:
    """Refuse weights with which the first loss would not be finite, unless that is to be ignored.

    Raises:
        CheckpointError: one of them is not finite.
    """
    if weights.flaw and config.on_nan != "ignore":
        raise CheckpointError(weights.flaw, "train with them all the same: on_nan=ignore")
    if weights.flaw:
        screen.warn(weights.flaw)
