"""`trainer resume`: continue a training exactly, in its own run directory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key
from trainer.system.seats import several

if TYPE_CHECKING:
    from trainer.config.train import Train

SUMMARY = "continue an interrupted training or sweep exactly, or a finished one for longer"
EXAMPLES = """
trainer resume runs/lenet_digits/2026-01-31_12-00-00
trainer resume RUN epochs=20 device=cuda
trainer resume SWEEP sweep=parallel
"""


@dataclass
class Resume(Config):
    """`trainer resume`: continue a training exactly. It takes `run`, and the keys of `train` that may change."""

    run: str = key(MISSING, "a run directory", text=True, positional=True)


def run(config: "Train") -> dict[str, Any]:
    """Continue the run in `config.directory`, or say that it is finished; return the content of result.json.

    Raises:
        UserError: There is nothing to continue from, or the data are not those that the training began with.
        TrainingFailedError, InterruptedRunError: The run directory says how the training ended.
    """
    from trainer.run import heading

    if several(config.devices):
        from trainer.run.ranks import spread
        from trainer.run.ranks.tasks import Continue

        found: dict[str, Any] | None = spread.run(Continue(config), heading.of_training(config, config.directory))
        return found or {}  # not on another rank than the first
    from trainer.show.beginning import beginning

    with beginning(*heading.of_training(config, config.directory)) as screen:
        from trainer.run import resuming

    return resuming.run(config, screen)
