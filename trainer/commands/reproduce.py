"""`trainer reproduce`: run a training again, and compare its curve and its weights with the first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.config.train import Train

SUMMARY = "run a training again, and compare its curve and weights with the first"
EXAMPLES = """
trainer reproduce runs/lenet_digits/2026-01-31_12-00-00
trainer reproduce RUN device=cpu output=elsewhere
trainer reproduce RUN epochs=2                  only its first epochs
"""


@dataclass
class Reproduce(Config):
    """`trainer reproduce`: run a training again. It takes `run`, and the keys of `train` that may change."""

    run: str = key(MISSING, "a run directory", text=True, positional=True)


def run(config: "Train") -> dict[str, Any]:
    """Run the training in `config.directory` again, in a new run directory, and say how far it is the same.

    Returns:
        `verdict`: equal (to the bit), or rounding; and `path`, the new run directory.

    Raises:
        UserError: There is nothing to compare with, or it cannot be run again.
        UnequalError: It is not the same.
        TrainingFailedError, InterruptedRunError: The new run directory says how the training ended.
    """
    from trainer.show.beginning import beginning

    with beginning("reproduce", f"{config.directory}, device {config.device}") as screen:
        from trainer.compare import reproducing

    return reproducing.run(config, screen)
