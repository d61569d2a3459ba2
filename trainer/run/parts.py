"""Everything a training run is made of, assembled from its config before anything is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainer.checkpoint import Checkpoint
from trainer.config.composition import Composed
from trainer.data.batches import Batches
from trainer.data.loading import eval_batch_size, example, load_dataset, stream_workers, training_batches
from trainer.data.splits import Dataset, Track
from trainer.engine import device, rng
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator
from trainer.engine.loop import Batches as AnyBatches
from trainer.engine.loop import Plan, Row, State, Step
from trainer.engine.losses import Loss
from trainer.engine.objective import Objective, choose_loss, choose_objective
from trainer.engine.optimizers import make_optimizer
from trainer.engine.schedule import Schedule, make_schedule
from trainer.engine.steps import kind, prepared
from trainer.engine.steps.captured import capturable
from trainer.engine.steps.eager import EagerStep, SkippingStep
from trainer.models.build import build_model
from trainer.system.errors import ConfigError


@dataclass
class Parts:
    """The objects of one run."""

    config: Composed
    compute: Compute
    model: nn.Module
    loss: Loss
    train: Batches
    evaluator: Evaluator
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    objective: Objective
    evaluated: str | None  # the split that is evaluated during training
    plan: Plan
    step: Step
    batches: AnyBatches  # `train`, as `step` takes them
    compiled: str  # how a step runs: off, inductor or cudagraph
    state: State
    random: rng.Generators = field(default_factory=rng.Generators)  # those that it draws from

    @property
    def name(self) -> str:
        """`name=`, or MODEL_DATA."""
        return self.config.settings.name or f"{self.config.title('model')}_{self.config.title('data')}"

    @property
    def data(self) -> Dataset:
        return self.evaluator.data

    @property
    def step_sizes(self) -> list[int]:
        """Samples of each step of an epoch."""
        sizes, size = self.train.sizes, self.plan.accumulate
        return [sum(sizes[i : i + size]) for i in range(0, len(sizes), size)]

    @property
    def picks_best(self) -> bool:
        """Whether there is a best.pt: the test split never picks one."""
        return self.objective.name.split("/")[0] in ("val", "train")

    @property
    def example(self) -> Tensor:
        """One sample (1, ...) as the model sees it."""
        return example(self.data, self.compute.device, self.compute.dtype)

    def evaluate(self) -> Row:
        """The metrics of the split that is evaluated during training."""
        return self.evaluator.row(self.evaluated) if self.evaluated else {}

    def learning_rate(self) -> float:
        """That of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])


def assemble(
    config: Composed,
    track: Track[Any],
    say: Callable[[str], None] = print,
    found: Checkpoint | None = None,
    beside: Parts | None = None,
) -> Parts:
    """Build every part, without writing anything; the model with the weights of `found`, if there is such.

    `say` is told later what did not go as planned. The samples are those of `beside`, if there is such: the parts of
    another run with the same data on the same device.

    Raises:
        UserError: something does not exist, does not fit or is not here.
    """
    settings = config.settings
    compute = device.choose(settings.device, settings.precision, settings.deterministic)
    data = load_dataset(config, track, beside.data if beside is not None else None)
    loss = choose_loss(settings.loss, data, settings.label_smoothing)
    rng.seed(settings.seed)
    first, outputs = example(data, compute.device, compute.dtype), int(data.facts()["outputs"])
    model = build_model(config, compute.device, compute.dtype, first, outputs, found)
    workers = stream_workers(config, data, compute.device)  # before anything lies on the device
    if beside is not None:
        train = beside.train.reseeded(settings.seed)
    else:
        train = training_batches(config, data, compute.device, compute.dtype, workers)
    evaluated = "test" if settings.evaluate.split == "test" else "val" if data.val is not None else None
    objective = choose_objective(config, data, evaluated)
    if evaluated == "test" and settings.early_stopping.patience is not None:
        raise ConfigError("early_stopping would choose by the test split", "leave evaluate.split=test out")
    in_rows = objective.name == "train/loss" or objective.name.split("/")[0] == evaluated
    if settings.early_stopping.patience is not None and not in_rows:
        raise ConfigError(
            f"early_stopping needs {objective.name} during training, and there is no validation set",
            "set data.val_fraction, or objective=train/loss",
        )
    steps = settings.epochs * -(-len(train) // settings.accumulate)
    steps = min(steps, settings.max_steps or steps)
    skips = settings.on_nan == "skip"
    compiled = kind(settings.compile, compute.device.type, steps, skips)
    optimizer = make_optimizer(config, model, captured=compiled == "cudagraph")
    watched = objective if in_rows and evaluated != "test" else Objective("train/loss", "min")
    schedule = make_schedule(config, optimizer, steps, watched)
    make = SkippingStep if skips else EagerStep
    eager = make(model, loss, optimizer, settings.clip_norm, compute.autocast)
    whole = capturable(optimizer) and not schedule.moves_momentum
    step, batches = prepared(compiled, eager, model, train, whole, say)
    evaluate, state = settings.evaluate, State()
    size = eval_batch_size(config, data)
    evaluator = Evaluator(model, data, compute, loss, size, workers, lambda: state.interrupted)
    if beside is not None:
        evaluator.share(beside.evaluator)
    parts = Parts(
        config=config,
        compute=compute,
        model=model,
        loss=loss,
        train=train,
        evaluator=evaluator,
        optimizer=optimizer,
        schedule=schedule,
        objective=objective,
        evaluated=evaluated,
        plan=Plan(
            settings.epochs,
            settings.max_steps,
            settings.accumulate,
            evaluate.every_epochs,
            evaluate.every_steps,
            settings.on_nan,
        ),
        step=step,
        batches=batches,
        compiled=compiled,
        state=state,
    )
    if train.sizes[-1] == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise ConfigError(
            f"the last batch has one sample (batches of {train.batch_size}), and batch normalisation needs two",
            "change data.batch_size by one",
        )
    return parts
