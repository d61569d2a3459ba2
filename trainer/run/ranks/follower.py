"""A training on any rank but the first: it takes part in each step and evaluation, and has no screen and no files."""

from pathlib import Path

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config.train import Train
from trainer.engine.loop import Hook, fit
from trainer.engine.ranks import Ranks
from trainer.run import resuming, starting
from trainer.run.deciding import Deciding
from trainer.run.parts import Parts, assemble
from trainer.run.ranks import sameness
from trainer.run.restoring import restore
from trainer.run.signals import stopping
from trainer.show.report import Report


def begin(config: Train, ranks: Ranks) -> None:
    """Follow a training that is started."""
    screen = Report(quiet=True)
    weights = starting.begun_with(config, screen)
    _follow(assemble(config, screen, weights, anew=True, ranks=ranks), None)


def resume(config: Train, ranks: Ranks) -> None:
    """Follow a training that is resumed from the checkpoint that rank 0 names; nothing where it is finished."""
    path = ranks.told("")
    if not path:
        return
    found = checkpoint.read(Path(path))
    resuming.take_choices(config, found)
    _follow(assemble(config, Report(quiet=True), found, ranks=ranks), found)


def _follow(parts: Parts, found: Checkpoint | None) -> None:
    sameness.check(parts)
    deciding = Deciding(parts)
    if found is not None:
        restore(found, parts.state, deciding.stateful(), len(parts.samples))
    try:
        with stopping(parts.state, give_up=parts.give_up):
            fit(parts.step, parts.batches, parts.plan, parts.evaluate, _hooks(parts, deciding), parts.state)
    finally:
        parts.close(at_once=bool(parts.state.interrupted))


def _hooks(parts: Parts, deciding: Deciding) -> list[Hook]:
    """Those that move the weights, or end the training, in the order of rank 0."""
    hooks = [parts.average, *deciding.ending(lambda: 0.0, lambda _: None), parts.schedule]
    return [hook for hook in hooks if hook is not None]
