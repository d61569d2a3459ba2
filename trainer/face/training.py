"""`trainer.train`, `resume` and `evaluate`: the verbs of that name as functions."""

import os
from typing import Any

from trainer.face import overrides as given
from trainer.face.calling import composed, told, training
from trainer.face.run import Run
from trainer.system.errors import ConfigError
from trainer.system.seats import several


@told
def train(*overrides: str, **keys: Any) -> Run:
    """Train and test a model, as `trainer train` does, in a new run directory.

    `overrides` are texts as on the command line, and `keys` are the same by name:
    `train("model=lenet", "optim.lr=0.1", epochs=3)`, or with dots `train(**{"optim.lr": 0.1})`.

    Raises:
        UserError: Something asked for cannot be; nothing was started.
        TrainingFailedError: The training failed; its run directory says how.
        KeyboardInterrupt: It was interrupted, and `resume` continues it.
    """
    with composed("train", given.words(overrides, keys)) as config:
        from trainer.run import heading, starting
        from trainer.show.report import Report

        if several(config.devices):
            from trainer.run.ranks import spread, tasks

            with training():
                return Run(spread.run(tasks.Begin(config), heading.of_start(config))[1])
        with training(), starting.opened(config, Report()) as opened:
            opened.run()
            return Run(opened.directory)


@told
def resume(run: "str | os.PathLike[str]", *overrides: str, **keys: Any) -> Run:
    """Continue an interrupted training exactly, or a finished one for longer, as `trainer resume` does.

    Raises:
        UserError: There is nothing to continue, or a key would change what has been trained already.
        TrainingFailedError, KeyboardInterrupt: As in `train`.
    """
    from trainer.sweeps import again
    from trainer.system.paths import resolved

    if again.is_sweep(resolved(os.fspath(run))):
        raise ConfigError(f"{os.fspath(run)} is a sweep", f"the command line resumes it: trainer resume {run}")
    with composed("resume", [given.place("run", run), *given.words(overrides, keys)]) as config:
        from trainer.run import heading, resuming
        from trainer.show.report import Report

        with training():
            if several(config.devices):
                from trainer.run.ranks import spread, tasks

                spread.run(tasks.Continue(config), heading.of_training(config, config.directory))
            else:
                resuming.run(config, Report())
        return Run(config.directory)


@told
def evaluate(run: "str | os.PathLike[str]", *overrides: str, **keys: Any) -> dict[str, float]:
    """The metrics of a run, a checkpoint file or a sweep by names like `test/accuracy`, as `trainer eval` shows them.

    Raises:
        UserError: There is no such checkpoint, or it does not fit the model or the data.
    """
    with composed("eval", [given.place("ckpt", run), *given.words(overrides, keys)]) as config:
        from trainer.commands import eval

        metrics: dict[str, float] = eval.run(config)["metrics"]
        return metrics
