"""`trainer train`: fit, then test; one run directory."""

from pathlib import Path
from typing import Any

from trainer import build, checkpoint, runs
from trainer.composition import Composed
from trainer.parts import assemble
from trainer.paths import expanded
from trainer.report import Report
from trainer.training import Training, cut_short


def run(config: Composed, directory: Path | None = None) -> dict[str, Any]:
    """Train and test as `config` says, in `directory` or a new run directory; the content of result.json.

    Raises:
        UserError: nothing was started.
        TrainingFailedError, InterruptedRunError: the run directory says how it ended.
    """
    screen = Report()
    weights = checkpoint.read(config.settings.from_, "from") if config.settings.from_ is not None else None
    if weights is not None:
        for warning in weights.warnings:
            screen.warn(warning)
        build.adopt(config, weights)
    parts = assemble(config, screen.track, screen.say, weights)
    parent = None
    if weights is not None:
        parent = {"path": str(weights.path), **{k: weights.training.get(k) for k in ("epoch", "step")}}
    if directory is None:
        directory = runs.claim(expanded(config.settings.output) / parts.name)
    try:
        with runs.locked(directory):
            runs.write_overrides(directory, config.typed)
            return Training(parts, directory, screen, parent=parent).run()
    except BaseException as error:
        if not (directory / "result.json").exists():  # it ended before there was anything to say
            runs.write_result(directory, {"name": parts.name, "metrics": {}, **cut_short(error)})
        raise
    finally:
        screen.close()
