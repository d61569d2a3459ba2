"""A training on any rank but the first: it takes part in each step and evaluation, and has no screen and no files."""

from contextlib import suppress
from pathlib import Path

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config.train import Train
from trainer.engine.loop import fit
from trainer.engine.ranks import Ranks
from trainer.run import resuming, starting
from trainer.run.deciding import Deciding
from trainer.run.parts import Parts, assemble
from trainer.run.ranks import sameness
from trainer.run.restoring import restore
from trainer.run.signals import stopping
from trainer.show.report import Report
from trainer.system.errors import DivergedError


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
    deciding, agreement = Deciding(parts), parts.agreement
    assert agreement is not None
    before = float(found.training.get("seconds") or 0.0) if found is not None else 0.0
    ending = deciding.ending(lambda: before + agreement.seconds(), lambda _: None)
    hooks = [hook for hook in (parts.average, *ending, parts.schedule, agreement) if hook is not None]
    if found is not None:
        restore(found, parts.state, deciding.stateful(), len(parts.samples))
    try:
        with stopping(agreement, give_up=parts.give_up), suppress(DivergedError):  # which rank 0 finds, too, and says
            fit(parts.step, parts.batches, parts.plan, parts.evaluate, hooks, parts.state)
    finally:
        parts.close(at_once=bool(parts.state.interrupted))
