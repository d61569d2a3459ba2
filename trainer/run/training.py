"""One training in its run directory: everything that watches it, and every file that it leaves."""

import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from trainer.checkpoint import Checkpoint
from trainer.checkpoint.adoption import describe
from trainer.data.described import described
from trainer.data.folder import skipping
from trainer.engine.loop import Hook, fit
from trainer.engine.metrics import Evaluation
from trainer.engine.rates import rates
from trainer.engine.state import State
from trainer.engine.unused import NamesUnused
from trainer.run import board, closing, heading, page, records, summary
from trainer.run import directory as runs
from trainer.run.deciding import Deciding
from trainer.run.diverged import keep_batch
from trainer.run.drawing import draw
from trainer.run.hooks.checkpoints import Checkpoints
from trainer.run.hooks.metrics_log import MetricsLog
from trainer.run.hooks.own import begun
from trainer.run.hooks.screen import Screen
from trainer.run.hooks.tracking import Tracked, tracking
from trainer.run.outcome import testing
from trainer.run.outcome.testing import Tested
from trainer.run.parts import Parts
from trainer.run.restoring import Stateful, restore
from trainer.run.signals import stopping
from trainer.run.subject import subject
from trainer.show.report import Report
from trainer.show.trained import Best, Trained
from trainer.system import atomic
from trainer.system.atomic import write_text
from trainer.system.errors import (
    DivergedError,
    InterruptedRunError,
    LostRankError,
    StoppedError,
    StorageError,
    interrupted,
)
from trainer.system.paths import argument


class Training:
    """Trains and tests `parts` in `directory`; pass `found`, a checkpoint of the run, to resume at its step.

    `parent` is the checkpoint that the weights of a new run come from; `watching` are hooks beside those of every run.
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
        self.parts, self.directory, self.screen, self.found, self.watching = parts, directory, screen, found, watching
        self.settings, self.state = parts.config, parts.state
        self.before: dict[str, Any] = found.training if found is not None else {"parent": parent}
        self.started = time.perf_counter()
        self.drawn: dict[str, bytes] = {}  # pictures, by their paths in the directory
        self.deciding = Deciding(parts)
        self.stateful: dict[str, Stateful] = {**self.deciding.stateful(), **begun(parts.hooks, directory)}

    def open(self) -> "Training":
        """Restore what a checkpoint holds, bring the directory to that step, and open the files that are written to.

        Raises:
            CheckpointError: a checkpoint is not one of this training; nothing is changed then.
            StorageError: the directory cannot be written to.
        """
        parts, directory, screen = self.parts, self.directory, self.screen
        if self.found is not None:
            restore(self.found, self.state, self.stateful, len(parts.samples))
        self.checkpoints = self._checkpoints()
        if self.found is not None:
            runs.rewind(directory, self.before.get("logs") or {})
        for folder in (directory, *(directory / name for name in runs.SUBDIRECTORIES)):
            with atomic.storing(folder):
                folder.mkdir(exist_ok=True)
            atomic.sweep(folder)
        write_text(directory / "config.yaml", parts.config.to_yaml())
        if parts.data.skipped:
            write_text(directory / "skipped.txt", skipping.lines(parts.data.skipped))
        screen.log_to(directory / "train.log")
        resumed = self.found is not None
        screen.heading(*heading.of_training(parts.config, directory if resumed else None))
        screen.facts("", summary.beginning(parts, directory, self.before, resumed))
        self.log = MetricsLog(directory / "metrics.jsonl")
        self.table = self._table()
        self.board = board.opened(parts, directory, self.log.rows, self.found is not None, screen)
        told = Tracked(parts.name, directory, summary.hyperparameters(parts.config))
        self.tracking = tracking(self.settings.tracking, told, screen.warn)
        unused = NamesUnused(parts.model.named_parameters, screen.warn)
        first, ending = (parts.average, *parts.hooks, unused), self.deciding.ending(self._agreed, screen.say)
        hooks = [*first, self.log, self.table, self.board, self.tracking, *ending, *self.watching]
        # Last, for a checkpoint holds the schedule's state after the epoch.
        last = parts.schedule, self.checkpoints, parts.agreement
        self.hooks = [hook for hook in (*hooks, *last) if hook is not None]
        return self

    def run(self) -> dict[str, Any]:
        """Train and test; the content of result.json, which is also written where this raises."""
        return self.finish(self._fit)

    def _fit(self) -> None:
        parts = self.parts
        with stopping(parts.agreement or self.state, give_up=parts.give_up):
            fit(parts.step, parts.batches, parts.plan, parts.evaluate, self.hooks, self.state)
        parts.alone()

    def finish(self, train: Callable[[], object]) -> dict[str, Any]:
        """Do what is left of the training by `train`, test the model and say how it ended, on screen and in the files.

        Raises:
            TrainingFailedError, InterruptedRunError, StorageError: result.json holds the reason, too.
        """
        result: dict[str, Any] = {"name": self.parts.name, "status": "failed", "metrics": {}}
        try:
            train()
            if self.state.interrupted:
                raise self._heeded()
            with self.screen.doing("testing"):
                test = self._test()
            result |= summary.figures(self.parts, self.checkpoints, self.log, test.evaluation) | test.result
            with self.screen.doing("drawing, and writing tables"):
                self._draw(test.evaluation)
                left = testing.leave(self.directory, test, self.parts, self.screen, partial(self._image, runs.TEST))
            told = page.Told(self.parts, self.directory, test, left, result, self._seconds(), self.log.rows, self.drawn)
            result |= page.leave(told)
            result["status"] = "completed"
        except BaseException as error:
            if isinstance(error, LostRankError):
                error.message = self.parts.ranks.why() or error.message
                error.hint = f"resume it: {self._resume()}"
            result |= summary.cut_short(error)
            if isinstance(error, KeyboardInterrupt | InterruptedRunError):
                raise self._interrupted(error) from error
            if isinstance(error, DivergedError):
                error.hint = f"{error.hint}; the last finite checkpoint is kept: {self._resume()}"
                keep_batch(self.parts, self.directory, error)
            if isinstance(error, StorageError):
                error.hint = f"{error.hint}, then resume it: {self._resume()}"
            raise
        finally:
            try:
                self.close(result)
            except KeyboardInterrupt as error:
                raise self._interrupted(error) from error
        suspects = left.facts() if left is not None else []
        closing.show(self.screen, self.parts, self.directory, self.log.rows, result, test.evaluation, suspects)
        return result

    def close(self, result: dict[str, Any]) -> None:
        """Write what is left; where the training failed, as much of it as can be."""
        self.table.close()
        self.parts.close(at_once=result["status"] == "interrupted")
        files = [self.checkpoints.close, self.log.close]
        if self.board is not None:
            files.append(partial(self.board.close, result["status"]))
        if self.before.get("parent"):
            result["parent"] = self.before["parent"]
        result |= summary.ending(self.parts, self._seconds())
        files.append(lambda: records.write_result(self.directory, result))
        if self.tracking is not None:
            files.append(partial(self.tracking.finish, result))
        for close in files:
            with suppress(*((StorageError,) if result["status"] != "completed" else ())):
                close()

    def _heeded(self) -> InterruptedRunError:
        return InterruptedRunError(self.state.interrupted, "interrupted")

    def _interrupted(self, error: KeyboardInterrupt | InterruptedRunError) -> InterruptedRunError:
        signum = (interrupted(error) if isinstance(error, KeyboardInterrupt) else error).exit_code - 128
        where = f"in epoch {self.state.epoch + 1} after step {self.state.step:,}"
        if self.state.epoch >= self.parts.plan.epochs:
            where = "after the training, before its test"
        saved = self.checkpoints.step
        written = "last.pt is written" if saved in (self.state.step, None) else f"last.pt is of step {saved:,}"
        return InterruptedRunError(signum, f"interrupted {where}; {written}", f"resume it: {self._resume()}")

    def _resume(self) -> str:
        return f"trainer resume {argument(self.directory)}"

    def _table(self) -> Screen:
        parts, before = self.parts, (self.before.get("best") or {}).get("value")
        columns, compiled = summary.columns(parts), parts.compiled == "inductor"
        return Screen(self.screen, columns, parts.samples, parts.plan, parts.objective, before, compiled)

    def _checkpoints(self) -> Checkpoints:
        parts, method = self.parts, weakref.WeakMethod(self._content)  # a circle would keep all samples in memory

        def content(state: State) -> dict[str, Any]:
            found = method()
            assert found is not None
            return found(state)

        # Not in the thread that writes: with two threads that compute, OpenMP's workers are too many for the cores, and
        # each step of a small model takes twice as long from then on.
        known = parts.trained.state_dict()
        hook = Checkpoints(
            self.directory / "checkpoints",
            parts.evaluator.model,
            describe(parts.config, parts.step.loss.name, described(parts.data)),
            content,
            parts.objective if parts.picks_best else None,
            self.settings.checkpoint,
            finite=self.settings.on_nan != "ignore",
            constant={"known": known},
        )
        lost = hook.take_up(self.before.get("best"))
        if lost:
            self.screen.warn(f"{lost}: the best weights up to step {self.state.step:,} are lost")
        return hook

    def _content(self, state: State) -> dict[str, Any]:
        """What last.pt holds beside the model: the logs are brought to the disk before it speaks of them."""
        logs = [self.log.flush()] + ([self.board.flush()] if self.board is not None else [])
        return {
            "early_stopping": None,
            **{name: part.state_dict() for name, part in self.stateful.items()},
            **state.state_dict(),
            "logs": {**(self.before.get("logs") or {}), **dict(logs)},
            "compute": str(self.parts.compute),
            "seconds": self._seconds(),
            "parent": self.before.get("parent"),
        }

    def _seconds(self) -> float:
        return float(self.before.get("seconds") or 0.0) + time.perf_counter() - self.started

    def _agreed(self) -> float:
        """The same by a clock that all ranks read alike."""
        agreement = self.parts.agreement
        if agreement is None:
            return self._seconds()
        return float(self.before.get("seconds") or 0.0) + agreement.seconds()

    def _test(self) -> Tested:
        """The test split, read once, with the best weights where a validation set picked them."""
        evaluator, row, latest = self.parts.evaluator, self.log.rows[-1] if self.log.rows else {}, None
        evaluator.shown = self.screen.evaluating
        if self.checkpoints.best_model is not None:
            evaluator.model.load_state_dict(self.checkpoints.best_model)
        elif "test/loss" in row and row["step"] == self.state.step:
            latest = evaluator.latest  # the epochs are tested: these weights have just been
        try:
            return testing.tested(self.parts, latest)
        except StoppedError as error:
            raise self._heeded() from error

    def _draw(self, test: Evaluation) -> None:
        if self.settings.plots:
            draw(self.directory, self._trained(test), partial(self._image, runs.PLOTS), self.screen)
        if self.board is not None:
            self.board.finish(test.named("test"), self.state)

    def _trained(self, test: Evaluation) -> Trained:
        """What the pictures of the training are made of."""
        parts, best = self.parts, self.checkpoints.best
        kept = Best(parts.objective.name, best["value"], best["epoch"], best["step"]) if best else None
        changing = rates(parts.schedule, self.log.rows, len(parts.samples))
        return Trained(self.log.rows, parts.evaluator, test, subject(parts.config), kept, changing)

    def _image(self, folder: str, name: str, png: bytes) -> None:
        self.drawn[f"{folder}/{name}.png"] = png
        if self.board is not None:
            self.board.image(name, png, self.state)
