"""`trainer train`: fit, then test; one run directory. Its keys stand in `trainer.config.train`."""

from pathlib import Path
from typing import Any

from trainer.config.train import Train
from trainer.system.seats import several

SUMMARY = "fit a model, then test it"
EXAMPLES = """
trainer train model=lenet data=mnist device=cuda
trainer train experiment=mnist_lenet seed=1
trainer train -m optim.lr=0.01,0.1 seed=0,1      a sweep: all combinations, ranked
trainer train -m optim.lr=0.01,0.1 sweep=auto    the same, several jobs at once
trainer train -m search=optuna 'optim.lr=interval(0.001,0.1)'
"""


def run(config: Train) -> dict[str, Any]:
    """Train and test as `config` says, in a new run directory; return the content of result.json.

    Raises:
        UserError: Nothing was started.
        TrainingFailedError, InterruptedRunError: The run directory says how the training ended.
    """
    from trainer.run import heading

    if several(config.devices):
        from trainer.run.ranks import spread
        from trainer.run.ranks.tasks import Begin

        found: tuple[dict[str, Any], Path] | None = spread.run(Begin(config), heading.of_start(config))
        return found[0] if found is not None else {}  # not on another rank than the first
    from trainer.show.beginning import beginning

    with beginning(*heading.of_start(config)) as screen:
        from trainer.run import starting

    return starting.run(config, screen)
