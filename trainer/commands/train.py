"""`trainer train`: fit, then test; one run directory."""

import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainer import __version__, build, device, pictures, report, runs
from trainer.composition import Composed, Custom
from trainer.data.batches import Batches
from trainer.device import Compute
from trainer.errors import ConfigError, InterruptedRunError, TrainerError
from trainer.evaluator import Evaluator
from trainer.hooks.checkpoints import Checkpoints
from trainer.hooks.early_stopping import EarlyStopping, Objective
from trainer.hooks.metrics_log import MetricsLog
from trainer.hooks.schedule import Schedule
from trainer.hooks.screen import Screen
from trainer.loop import Hook, Plan, State, fit
from trainer.losses import Loss
from trainer.metrics import Evaluation
from trainer.report import Report
from trainer.signals import stopping
from trainer.step import EagerStep


@dataclass
class Parts:
    """Everything a run is made of, built before anything is written."""

    config: Composed
    compute: Compute
    built: nn.Module
    loss: Loss
    evaluator: Evaluator
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    objective: Objective
    evaluated: str | None  # the split evaluated during training
    plan: Plan
    train: Batches
    state: State = field(default_factory=State)

    @property
    def name(self) -> str:
        settings = self.config.settings
        return settings.name or f"{self.config.title('model')}_{self.config.title('data')}"


def run(config: Composed, directory: Path | None = None) -> dict[str, Any]:
    """Train and test as `config` says, in `directory` or a new run directory; the content of result.json.

    Raises:
        UserError: nothing was started. TrainingFailedError, InterruptedRunError: the run directory says how it ended.
    """
    screen = Report()
    parts = assemble(config, screen)
    if directory is None:
        directory = runs.claim(Path(config.settings.output).expanduser() / parts.name)
    for name in runs.SUBDIRECTORIES:
        (directory / name).mkdir(exist_ok=True)
    screen.log_to(directory / "train.log")
    try:
        return _train(parts, directory, screen)
    finally:
        screen.close()


def assemble(config: Composed, screen: Report) -> Parts:
    """Build every part, without writing anything.

    Raises:
        UserError: something does not exist, does not fit or is not here.
    """
    settings = config.settings
    compute = device.choose(settings.device, settings.precision)
    loaded = build.dataset(config, screen.track)
    used = build.loss(settings.loss, loaded, settings.label_smoothing)
    torch.manual_seed(settings.seed)
    built = build.model(config, compute)
    train = build.training_batches(config, loaded, compute)
    build.check_forward(built, config, next(iter(train))[0][:1], int(loaded.facts()["outputs"]))
    evaluated = "test" if settings.evaluate.split == "test" else "val" if loaded.val is not None else None
    objective = build.objective(config, loaded, evaluated)
    watched_in_rows = objective.name == "train/loss" or objective.name.split("/")[0] == evaluated
    if settings.early_stopping.patience is not None and not watched_in_rows:
        raise ConfigError(
            f"early_stopping needs {objective.name} during training, and there is no validation set",
            "set data.val_fraction, or objective=train/loss",
        )
    made = build.optimizer(config, built)
    steps = -(-len(train) // settings.accumulate)
    total = min(settings.epochs * steps, settings.max_steps or settings.epochs * steps)
    watched = objective if watched_in_rows else Objective("train/loss", "min")
    return Parts(
        config=config,
        compute=compute,
        built=built,
        loss=used,
        evaluator=Evaluator(built, loaded, compute, used, build.eval_batch_size(config)),
        optimizer=made,
        schedule=build.schedule(config, made, total, watched),
        objective=objective,
        evaluated=evaluated,
        plan=Plan(
            settings.epochs,
            settings.max_steps,
            settings.accumulate,
            settings.evaluate.every_epochs,
            settings.evaluate.every_steps,
        ),
        train=train,
    )


def _train(parts: Parts, directory: Path, screen: Report) -> dict[str, Any]:
    settings = parts.config.settings
    started = time.perf_counter()
    runs.write_text(directory / "config.yaml", parts.config.to_yaml())
    runs.write_text(directory / "overrides.yaml", "".join(f"- {_quoted(o)}\n" for o in parts.config.typed))
    screen.facts(f"{parts.name}  {directory}", _summary(parts))
    log = MetricsLog(directory / "metrics.jsonl")
    checkpoints = _checkpoints(parts, directory)
    board = _tensorboard(parts, directory, screen)
    columns = ["train/loss"]
    if parts.evaluated:
        shown = ("loss", "accuracy") if parts.evaluator.loaded.classes is not None else ("loss", "mae", "r2")
        columns += [f"{parts.evaluated}/{name}" for name in shown]
    samples = [sum(parts.train.sizes[: settings.accumulate])] * (-(-len(parts.train) // settings.accumulate))
    table = Screen(screen, columns, samples, settings.epochs)
    hooks: list[Hook] = [log, checkpoints, table]
    if board is not None:
        hooks.append(board)
    if settings.early_stopping.patience is not None:
        watch = Objective(parts.objective.name, parts.objective.direction, settings.early_stopping.min_delta)
        hooks.append(EarlyStopping(watch, settings.early_stopping.patience))
    hooks.append(parts.schedule)  # last: the others see the learning rate that was used
    result: dict[str, Any] = {
        "name": parts.name,
        "status": "failed",
        "metrics": {},
        "environment": environment(parts.compute),
    }
    state = parts.state
    evaluate = (lambda: parts.evaluator.row(parts.evaluated or "")) if parts.evaluated else None
    try:
        with stopping(state) as stop:
            step = EagerStep(parts.built, parts.loss, parts.optimizer, settings.clip_norm, parts.compute.autocast)
            rate = lambda: float(parts.optimizer.param_groups[0]["lr"])  # noqa: E731
            fit(step, parts.train, parts.loss, parts.plan, evaluate, rate, hooks, state, parts.compute.device)
            if stop.signum and state.epoch < parts.plan.epochs:
                result["status"] = "interrupted"
                raise InterruptedRunError(
                    stop.signum,
                    f"interrupted in epoch {state.epoch + 1} after step {state.step}; "
                    f"{directory}/checkpoints/last.pt is written",
                    f"look at it: trainer eval ckpt={shown_path(directory)}",
                )
            test = _test(parts, checkpoints)
            result |= _figures(parts, checkpoints, log, test, state)
            _draw(parts, directory, log, test, board, state)
            result["status"] = "completed"
    except BaseException as error:
        if result["status"] != "interrupted":
            result["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            result["error"] = error.message if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
        checkpoints.write_best()
        raise
    finally:
        table.on_end(state)
        log.close()
        if board is not None:
            board.close()
        result["seconds"] = time.perf_counter() - started
        result |= {"epochs": state.epoch, "steps": state.step}
        runs.write_result(directory, result)
    _close(parts, directory, screen, result, test, state)
    return result


def _checkpoints(parts: Parts, directory: Path) -> Checkpoints:
    watched = parts.objective if parts.objective.name.split("/")[0] in ("val", "train") else None

    def content() -> dict[str, Any]:
        return {"optimizer": parts.optimizer.state_dict(), "scheduler": parts.schedule.state_dict()}

    description = build.describe(parts.config, parts.evaluator.loaded, parts.loss)
    seconds = parts.config.settings.checkpoint_seconds
    return Checkpoints(directory / "checkpoints", parts.built, description, content, watched, seconds)


def _tensorboard(parts: Parts, directory: Path, screen: Report) -> Any:
    config = parts.config.settings.tensorboard
    if not config.enabled:
        return None
    from trainer.hooks.tensorboard import TensorBoard  # late: importing it takes a second

    board = TensorBoard(directory, config, parts.built, parts.config.settings.epochs)
    if config.graph:
        inputs, _ = next(iter(parts.train))
        reason = board.graph(inputs[:1])
        if reason:
            screen.say(f"  TensorBoard gets no graph of this model: {reason}", style="dim")
    return board


def _test(parts: Parts, checkpoints: Checkpoints) -> Evaluation:
    """The test split, read once, with the best weights where a validation set picked them."""
    if checkpoints.best_model is not None:
        parts.built.load_state_dict(checkpoints.best_model)
    return parts.evaluator("test")


def _figures(parts: Parts, checkpoints: Checkpoints, log: MetricsLog, test: Evaluation, state: State) -> dict[str, Any]:
    metrics = {f"test/{name}": value for name, value in test.metrics.items()}
    objective = parts.objective
    if checkpoints.best is not None:
        value: float | None = checkpoints.best["value"]
    else:
        last = log.rows[-1] if log.rows else {}
        value = metrics.get(objective.name, last.get(objective.name))
    rates = [row["samples_per_second"] for row in log.rows if "samples_per_second" in row]
    figures: dict[str, Any] = {
        "metrics": metrics | {"train/loss": log.rows[-1]["train/loss"]},
        "objective": {"name": objective.name, "direction": objective.direction, "value": value},
        "best_epoch": checkpoints.best["epoch"] if checkpoints.best else None,
        "samples_per_second": sorted(rates)[len(rates) // 2] if rates else None,
        "stopped": state.stop or None,
    }
    classes = parts.evaluator.loaded.classes
    if classes is not None:
        figures["per_class"] = dict(zip(classes, test.per_class, strict=True))
    return figures


def _draw(parts: Parts, directory: Path, log: MetricsLog, test: Evaluation, board: Any, state: State) -> None:
    if parts.config.settings.plots:
        for name, figure in pictures.after_training(log.rows, parts.evaluator, test):
            figure.savefig(directory / "plots" / f"{name}.png", dpi=110)
            if board is not None:
                board.figure(name, figure, state)
    if board is not None:
        metrics = {f"test/{name}": value for name, value in test.metrics.items()}
        board.finish(hyperparameters(parts.config), metrics, state)


def hyperparameters(config: Composed) -> dict[str, Any]:
    """Settings and sections as one flat table of scalars."""
    flat: dict[str, Any] = {}
    for group in ("model", "data", "optim", "scheduler"):
        section = config.section(group)
        values = {"target": section.target, **section.kwargs} if isinstance(section, Custom) else asdict(section)
        flat |= {f"{group}.{k}": v for k, v in values.items() if v is not None and not isinstance(v, dict)}
    keys = ("seed", "precision", "epochs", "accumulate", "clip_norm", "label_smoothing")
    return flat | {k: getattr(config.settings, k) for k in keys if getattr(config.settings, k) is not None}


def environment(compute: Compute) -> dict[str, str]:
    """Versions and device: what a figure depends on beside the config."""
    return {
        "trainer": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "device": str(compute),
    }


def _summary(parts: Parts) -> report.Facts:
    loaded, settings = parts.evaluator.loaded, parts.config.settings
    total = sum(p.numel() for p in parts.built.parameters())
    trained = sum(p.numel() for p in parts.built.parameters() if p.requires_grad)
    shape = "x".join(map(str, loaded.train.inputs.shape[1:]))
    kind = f"{len(loaded.classes)} classes" if loaded.classes is not None else "regression"
    counts = [f"{len(loaded.train):,} train", f"{len(loaded.test):,} test"]
    if loaded.val is not None:
        counts.insert(1, f"{len(loaded.val):,} val")
    title = parts.config.title
    frozen = f", {trained:,} of them trained" if trained < total else ""
    batch = parts.train.batch_size * settings.accumulate
    length = f"{settings.epochs} epoch{'s' if settings.epochs > 1 else ''}" + (f" or {settings.max_steps:,} steps" if settings.max_steps else "")
    rate = parts.optimizer.defaults.get("lr")
    by_validation = parts.objective.name.split("/")[0] != "test"
    picked = f"best by {parts.objective.name}" if by_validation else "no validation split: the last weights are tested"
    return [
        ("model", f"{title('model')}, {total:,} parameters{frozen}"),
        ("data", f"{title('data')}, {' + '.join(counts)} of {shape}, {kind}"),
        (
            "training",
            f"{length}, batch {batch:,}, {title('optim')} lr {rate:g}, {title('scheduler')} schedule",
        ),
        ("loss", f"{parts.loss.name}, {picked}, seed {settings.seed}"),
        ("device", str(parts.compute)),
    ]


def _close(
    parts: Parts, directory: Path, screen: Report, result: dict[str, Any], test: Evaluation, state: State
) -> None:
    facts = []
    if state.stop:
        facts.append(("stopped", state.stop))
    if result["best_epoch"] is not None:
        best = result["objective"]
        facts.append(
            (
                "best epoch",
                f"{result['best_epoch']} ({best['name']} {report.metric(best['name'], best['value'])})",
            )
        )
    facts.append(("test", report.metrics(test.metrics)))
    facts.append(("time", f"{report.duration(result['seconds'])}, {result['samples_per_second'] or 0:,.0f} samples/s"))
    where = shown_path(directory)
    facts.append(("run", str(directory)))
    facts.append(("next", f"trainer eval ckpt={where}"))
    if parts.evaluator.loaded.is_image:
        facts.append(("", f"trainer inspect ckpt={where} inspect.out=filters.png"))
    if parts.config.settings.tensorboard.enabled:
        facts.append(("", f"tensorboard --logdir {Path(where).parent}"))
    screen.panel(f"{parts.name}: done", facts)


def shown_path(path: Path) -> str:
    """A path as one types it in a shell."""
    import shlex

    return shlex.quote(str(path))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
