"""`trainer train`: fit, then test; one run directory."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from trainer import build, runs, summary
from trainer.composition import Composed
from trainer.errors import InterruptedRunError, TrainerError
from trainer.hooks.checkpoints import Checkpoints
from trainer.hooks.early_stopping import EarlyStopping, Objective
from trainer.hooks.metrics_log import MetricsLog
from trainer.hooks.screen import Screen
from trainer.loop import Hook, fit
from trainer.metrics import Evaluation
from trainer.parts import Parts, assemble
from trainer.paths import expanded
from trainer.report import Report
from trainer.signals import stopping

if TYPE_CHECKING:
    from trainer.hooks.tensorboard import TensorBoard


def run(config: Composed, directory: Path | None = None) -> dict[str, Any]:
    """Train and test as `config` says, in `directory` or a new run directory; the content of result.json.

    Raises:
        UserError: nothing was started.
        TrainingFailedError, InterruptedRunError: the run directory says how it ended.
    """
    screen = Report()
    parts = assemble(config, screen.track, screen.say)
    if directory is None:
        directory = runs.claim(expanded(config.settings.output) / parts.name)
    try:
        return _Run(parts, directory, screen).run()
    except BaseException as error:
        if not (directory / "result.json").exists():  # it ended before there was anything to say
            runs.write_result(directory, {"name": parts.name, "metrics": {}, **_cut_short(error)})
        raise
    finally:
        screen.close()


def _cut_short(error: BaseException) -> dict[str, str]:
    """Status and reason of a run that did not complete."""
    interrupted = isinstance(error, KeyboardInterrupt | InterruptedRunError)
    reason = error.message if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return {"status": "interrupted" if interrupted else "failed", "error": reason}


class _Run:
    """One training, with everything that watches it and every file it leaves."""

    def __init__(self, parts: Parts, directory: Path, screen: Report) -> None:
        self.parts, self.directory, self.screen = parts, directory, screen
        self.settings, self.state = parts.config.settings, parts.state
        self.started = time.perf_counter()
        for name in runs.SUBDIRECTORIES:
            (directory / name).mkdir(exist_ok=True)
        runs.write_text(directory / "config.yaml", parts.config.to_yaml())
        runs.write_overrides(directory, parts.config.typed)
        screen.log_to(directory / "train.log")
        screen.facts(f"{parts.name}  {directory}", summary.opening(parts))
        self.log = MetricsLog(directory / "metrics.jsonl")
        self.checkpoints = self._checkpoints()
        self.table = Screen(screen, summary.columns(parts), parts.step_sizes, parts.plan)
        self.board = self._tensorboard()

    def run(self) -> dict[str, Any]:
        result: dict[str, Any] = {"name": self.parts.name, "status": "failed", "metrics": {}}
        try:
            self._fit()
            test = self._test()
            result |= summary.figures(self.parts, self.checkpoints, self.log, test)
            self._draw(test)
            result["status"] = "completed"
        except BaseException as error:
            result |= _cut_short(error)
            self.checkpoints.write_best()
            raise
        finally:
            self.table.close()
            self.log.close()
            if self.board is not None:
                self.board.close()
            result |= summary.ending(self.parts, time.perf_counter() - self.started)
            runs.write_result(self.directory, result)
        self.screen.panel(f"{self.parts.name}: done", summary.closing(self.parts, self.directory, result, test))
        return result

    def _fit(self) -> None:
        parts = self.parts
        with stopping(self.state) as stop:
            fit(
                parts.step,
                parts.batches,
                parts.loss,
                parts.plan,
                evaluate=parts.evaluate,
                learning_rate=parts.learning_rate,
                hooks=self._hooks(),
                state=self.state,
                device=parts.compute.device,
            )
        if stop.signum and self.state.epoch < parts.plan.epochs:
            raise InterruptedRunError(
                stop.signum,
                f"interrupted in epoch {self.state.epoch + 1} after step {self.state.step}; last.pt is written",
                f"look at it: trainer eval ckpt={summary.typed(self.directory)}",
            )

    def _hooks(self) -> list[Hook]:
        hooks: list[Hook] = [self.log, self.table]
        if self.board is not None:
            hooks.append(self.board)
        early = self.settings.early_stopping
        if early.patience is not None:
            watched = Objective(self.parts.objective.name, self.parts.objective.direction, early.min_delta)
            hooks.append(EarlyStopping(watched, early.patience))
        # Last, for a checkpoint holds the schedule's state after the epoch.
        return [*hooks, self.parts.schedule, self.checkpoints]

    def _checkpoints(self) -> Checkpoints:
        parts = self.parts

        def content() -> dict[str, Any]:
            return {"optimizer": parts.optimizer.state_dict(), "scheduler": parts.schedule.state_dict()}

        return Checkpoints(
            self.directory / "checkpoints",
            parts.model,
            build.describe(parts.config, parts.data, parts.loss),
            content,
            parts.objective if parts.picks_best else None,
            self.settings.checkpoint_seconds,
        )

    def _tensorboard(self) -> "TensorBoard | None":
        config = self.settings.tensorboard
        if not config.enabled:
            return None
        from trainer.hooks.tensorboard import TensorBoard  # late: importing it takes a second

        board = TensorBoard(self.directory, config, self.parts.model, self.settings.epochs)
        reason = board.graph(self.parts.example) if config.graph else ""
        if reason:
            self.screen.say(f"  TensorBoard gets no graph of this model: {reason}", style="dim")
        return board

    def _test(self) -> Evaluation:
        """The test split, read once, with the best weights where a validation set picked them."""
        evaluator, row = self.parts.evaluator, self.log.rows[-1] if self.log.rows else {}
        if self.checkpoints.best_model is not None:
            self.parts.model.load_state_dict(self.checkpoints.best_model)
        elif "test/loss" in row and row["step"] == self.state.step and evaluator.latest is not None:
            return evaluator.latest  # the epochs are tested: these weights have just been
        return evaluator("test")

    def _draw(self, test: Evaluation) -> None:
        if self.settings.plots:
            from trainer import pictures, plots  # late: with matplotlib, they would delay the first step

            for name, figure in pictures.after_training(self.log.rows, self.parts.evaluator, test):
                pixels = plots.render(figure)
                Image.fromarray(pixels).save(self.directory / "plots" / f"{name}.png")
                if self.board is not None:
                    self.board.image(name, pixels, self.state)
        if self.board is not None:
            self.board.finish(summary.hyperparameters(self.parts.config), test.named("test"), self.state)
