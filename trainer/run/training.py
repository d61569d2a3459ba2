"""One training in its run directory: everything that watches it, and every file that it leaves."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import describe
from trainer.data.described import described
from trainer.engine.loop import Asking, Batches, Hook, State, StoppedError, driven, fitting
from trainer.engine.metrics import Evaluation
from trainer.engine.objective import Objective
from trainer.engine.unused import NamesUnused
from trainer.run import directory as runs
from trainer.run import progress, summary
from trainer.run.hooks.checkpoints import Checkpoints
from trainer.run.hooks.early_stopping import EarlyStopping
from trainer.run.hooks.metrics_log import MetricsLog
from trainer.run.hooks.screen import Screen
from trainer.run.parts import Parts
from trainer.run.signals import stopping
from trainer.show.report import Report
from trainer.system import atomic
from trainer.system.atomic import replacing, write_text
from trainer.system.errors import DivergedError, InterruptedRunError, StorageError, TrainerError, interrupted
from trainer.system.paths import typed

if TYPE_CHECKING:
    from trainer.run.hooks.tensorboard import TensorBoard


Stopping = Callable[[State], AbstractContextManager[object]]


def cut_short(error: BaseException) -> dict[str, str]:
    """Status and reason of a run that did not complete."""
    by_signal = isinstance(error, KeyboardInterrupt | InterruptedRunError)
    reason = error.message if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return {"status": "interrupted" if by_signal else "failed", "error": reason}


class Training:
    """Trains and tests `parts` in `directory`; from where `found`, a checkpoint of the run, left it.

    `parent` is the checkpoint that the weights of a new run come from; `watching` are hooks beside those of every run.

    Raises:
        CheckpointError: `found` is not one of this training; nothing is changed then.
    """

    def __init__(
        self,
        parts: Parts,
        directory: Path,
        screen: Report,
        found: Checkpoint | None = None,
        parent: dict[str, Any] | None = None,
        watching: Sequence[Hook] = (),
    ) -> None:
        self.watching = watching
        self.parts, self.directory, self.screen, self.found = parts, directory, screen, found
        self.settings, self.state = parts.config.settings, parts.state
        self.before: dict[str, Any] = found.training if found is not None else {"parent": parent}
        self.started = time.perf_counter()
        if found is not None:
            progress.put_back(parts, found)
            runs.rewind(directory, found.training.get("logs") or {})
        for name in runs.SUBDIRECTORIES:
            with atomic.storing(directory / name):
                (directory / name).mkdir(exist_ok=True)
            atomic.sweep(directory / name)
        atomic.sweep(directory)
        write_text(directory / "config.yaml", parts.config.to_yaml())
        screen.log_to(directory / "train.log")
        screen.facts(f"{parts.name}  {directory}", self._opening())
        self.log = MetricsLog(directory / "metrics.jsonl")
        self.early_stopping = self._early_stopping()
        self.checkpoints = self._checkpoints()
        self.table = Screen(screen, summary.columns(parts), parts.step_sizes, parts.plan)
        self.board = self._tensorboard()

    def run(self) -> dict[str, Any]:
        """Train and test; the content of result.json, which is also written where this raises."""
        return driven(self.running(self.parts.batches, stopping), self.parts.step, self.parts.evaluate)

    def running(self, batches: Batches, stopping: Stopping) -> Asking[dict[str, Any]]:
        """As `run`, asking for each step on `batches`; within `stopping` a signal sets its states' `interrupted`."""
        result: dict[str, Any] = {"name": self.parts.name, "status": "failed", "metrics": {}}
        try:
            yield from self._fitting(batches, stopping)
            test = self._test()
            result |= summary.figures(self.parts, self.checkpoints, self.log, test)
            self._draw(test)
            result["status"] = "completed"
        except BaseException as error:
            result |= cut_short(error)
            if isinstance(error, KeyboardInterrupt | InterruptedRunError):
                raise self._interrupted(error) from error
            if isinstance(error, DivergedError):
                self._keep_batch(error)
            if isinstance(error, StorageError):
                error.hint = f"{error.hint}, then go on: {self._resume()}"
            raise
        finally:
            try:
                self._close(result)
            except KeyboardInterrupt as error:
                raise self._interrupted(error) from error
        self.screen.panel(f"{self.parts.name}: done", summary.closing(self.parts, self.directory, result, test))
        return result

    def give_up(self, error: BaseException) -> None:
        """End a training that has not begun to run: `error` came before that."""
        self._close({"name": self.parts.name, "metrics": {}, **cut_short(error)})

    def _close(self, result: dict[str, Any]) -> None:
        """Write what is left; where the training failed, as much of it as can be."""
        self.table.close()
        self.parts.train.close()
        self.parts.evaluator.close()
        closing = [self.checkpoints.close, self.log.close]
        if self.board is not None:
            closing.append(partial(self.board.close, result["status"]))
        if self.before.get("parent"):
            result["parent"] = self.before["parent"]
        result |= summary.ending(self.parts, self._seconds())
        closing.append(lambda: runs.write_result(self.directory, result))
        for close in closing:
            with suppress(*((StorageError,) if result["status"] != "completed" else ())):
                close()

    def _opening(self) -> list[tuple[str, str]]:
        facts = [*summary.opening(self.parts)]
        if self.before.get("parent"):
            facts.append(("weights", f"of {self.before['parent']['path']}"))
        if self.found is not None:
            facts.append(("resumed", f"after step {self.state.step:,}, in epoch {self.state.epoch + 1}"))
            other = self.before.get("compute")
            if other != str(self.parts.compute):
                facts.append(("note", f"computed on {other} before: results are no longer equal to the last bit"))
        return facts

    def _fitting(self, batches: Batches, stopping: Stopping) -> Asking[None]:
        parts, state = self.parts, self.state
        device = parts.compute.device
        with stopping(state):
            yield from fitting(batches, parts.loss, parts.plan, True, parts.learning_rate, self._hooks(), state, device)
        if state.interrupted:
            raise self._heeded()

    def _heeded(self) -> InterruptedRunError:
        return InterruptedRunError(signal.Signals[self.state.interrupted], "interrupted")

    def _interrupted(self, error: KeyboardInterrupt | InterruptedRunError) -> InterruptedRunError:
        signum = (interrupted(error) if isinstance(error, KeyboardInterrupt) else error).exit_code - 128
        where = f"in epoch {self.state.epoch + 1} after step {self.state.step:,}"
        if self.state.epoch >= self.parts.plan.epochs:
            where = "after the training, before its test"
        saved = self.checkpoints.step
        written = "last.pt is written" if saved in (self.state.step, None) else f"last.pt is of step {saved:,}"
        return InterruptedRunError(signum, f"interrupted {where}; {written}", f"go on: {self._resume()}")

    def _resume(self) -> str:
        return f"trainer resume {typed(self.directory)}"

    def _keep_batch(self, error: DivergedError) -> None:
        """Save the batch whose loss was not finite: what came in may explain what came out."""
        error.hint = f"{error.hint}; the last finite checkpoint is kept: {self._resume()}"
        if error.batch is None:
            return
        size = self.parts.plan.accumulate
        batches = self.parts.train.epoch(self.state.epoch, start=error.batch * size)
        parts = [next(batches) for _ in range(min(size, len(self.parts.train) - error.batch * size))]
        inputs, targets = (torch.cat([batch[i] for batch in parts]).cpu() for i in (0, 1))
        with suppress(StorageError), replacing(self.directory / "diverged.pt") as file:
            torch.save({"inputs": inputs, "targets": targets, "epoch": self.state.epoch + 1, "step": error.step}, file)
        if self.parts.data.is_image:
            from trainer.show import pictures, plots  # late, as in `_draw`

            picture = plots.render(pictures.batch(inputs, targets, self.parts.data))
            with suppress(OSError):
                Image.fromarray(picture).save(self.directory / "plots" / "diverged.png")
        error.message = f"{error.message}; the batch of step {error.step} is in {self.directory / 'diverged.pt'}"

    def _hooks(self) -> list[Hook]:
        unused = NamesUnused(self.parts.model.named_parameters, self.screen.warn)
        hooks: list[Hook | None] = [unused, self.log, self.table, self.board, self.early_stopping, *self.watching]
        # Last, for a checkpoint holds the schedule's state after the epoch.
        return [hook for hook in (*hooks, self.parts.schedule, self.checkpoints) if hook is not None]

    def _early_stopping(self) -> EarlyStopping | None:
        early = self.settings.early_stopping
        if early.patience is None:
            return None
        watched = Objective(self.parts.objective.name, self.parts.objective.direction, early.min_delta)
        hook = EarlyStopping(watched, early.patience)
        if self.before.get("early_stopping"):
            hook.load_state_dict(self.before["early_stopping"])
        return hook

    def _checkpoints(self) -> Checkpoints:
        parts = self.parts
        folder = self.directory / "checkpoints"
        hook = Checkpoints(
            folder,
            parts.model,
            describe(parts.config, parts.loss.name, described(parts.data)),
            self._content,
            parts.objective if parts.picks_best else None,
            self.settings.checkpoint,
            finite=self.settings.on_nan != "ignore",
        )
        best = self.before.get("best")
        if best is not None:
            try:
                hook.go_on(best, checkpoint.read(folder / "best.pt"))
            except TrainerError as error:
                self.screen.warn(f"{error.message}: the best weights up to step {self.state.step:,} are lost")
        return hook

    def _content(self, state: State) -> dict[str, Any]:
        """What goes into last.pt beside the model: the logs are brought to the disk before it speaks of them."""
        logs = [self.log.flush()] + ([self.board.flush()] if self.board is not None else [])
        early = self.early_stopping
        return {
            **progress.taken(self.parts, state),
            "early_stopping": early.state_dict() if early is not None else None,
            "logs": {**(self.before.get("logs") or {}), **dict(logs)},
            "seconds": self._seconds(),
            "parent": self.before.get("parent"),
        }

    def _seconds(self) -> float:
        return float(self.before.get("seconds") or 0.0) + time.perf_counter() - self.started

    def _tensorboard(self) -> "TensorBoard | None":
        config = self.settings.tensorboard
        if not config.enabled:
            return None
        from trainer.run.hooks.tensorboard import TensorBoard  # late: importing it takes a second

        resumed = self.found is not None
        purge_from = self.state.step + 1 if resumed else None
        board = TensorBoard(self.directory, config, self.parts.model, self.settings.epochs, purge_from)
        board.begin(summary.hyperparameters(self.parts.config))
        reason = board.graph(self.parts.example) if config.graph and not resumed else ""
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
        try:
            return evaluator("test")
        except StoppedError as error:
            raise self._heeded() from error

    def _draw(self, test: Evaluation) -> None:
        if self.settings.plots:
            try:
                import matplotlib.figure  # noqa: F401  # late: it would delay the first step
            except OSError as error:  # it wants a folder of its own
                self.screen.warn(f"no pictures: {error}")
            else:
                self._pictures(test)
        if self.board is not None:
            self.board.finish(test.named("test"), self.state)

    def _pictures(self, test: Evaluation) -> None:
        from trainer.show import pictures, plots

        for name, figure in pictures.after_training(self.log.rows, self.parts.evaluator, test):
            pixels = plots.render(figure)
            path = self.directory / "plots" / f"{name}.png"
            with atomic.storing(path):
                Image.fromarray(pixels).save(path)
            if self.board is not None:
                self.board.image(name, pixels, self.state)
