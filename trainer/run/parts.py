"""Everything a training run is made of, assembled from its config before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config import custom
from trainer.config.train import Train
from trainer.data.batches import Batches
from trainer.data.known import Trained
from trainer.data.loading import eval_batch_size, example, load_dataset, single_sample, training_batches
from trainer.data.placing import placed, settled
from trainer.data.splits import Dataset
from trainer.engine import device, rng, state
from trainer.engine.average import Average
from trainer.engine.condition import Condition
from trainer.engine.device import Compute
from trainer.engine.evaluator import Evaluator
from trainer.engine.objective import Objective, choose_loss, choose_objective, choose_target, followed
from trainer.engine.optimizers import make_optimizer
from trainer.engine.own import make_metrics
from trainer.engine.ranks import ALONE, Ranks
from trainer.engine.schedule import Schedule, make_schedule
from trainer.engine.state import Plan, Row, State, Step
from trainer.engine.steps import kind, make_step
from trainer.models import preprocessing
from trainer.models.build import build_model, has_batch_norm, trains_on
from trainer.models.transfer import Transfer
from trainer.run import heading
from trainer.run.choosing import choose
from trainer.run.hooks import tracking
from trainer.run.hooks.own import OwnHook, make_hooks
from trainer.show.report import Report
from trainer.system.errors import ConfigError

if TYPE_CHECKING:
    from trainer.engine.ranks.agreement import Agreement


@dataclass
class Parts:
    """The objects of one run."""

    config: Train
    compute: Compute
    model: nn.Module
    train: Batches
    evaluator: Evaluator
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    objective: Objective
    target: Condition | None  # at which the training is to end
    evaluated: str | None  # the split that is evaluated during training
    plan: Plan
    step: Step
    batches: state.BatchSource  # `train`, as `step` takes them
    compiled: str  # how a step runs: off, inductor or cudagraph
    state: State
    trained: Trained  # the samples that it is trained on, as a checkpoint remembers them
    average: Average | None  # of the weights, which is evaluated in their place
    hooks: list[OwnHook]  # of the user's own
    ranks: Ranks  # that take each step together
    agreement: "Agreement | None"  # of several ranks: the last of the hooks of each, and what signals are told
    chosen: list[tuple[str, str]]  # what the config left to be chosen by the data, and why it is so
    generators: rng.Generators = field(default_factory=rng.Generators)  # that the run draws from

    @property
    def name(self) -> str:
        """As its folder is called."""
        return heading.name(self.config)

    @property
    def data(self) -> Dataset:
        return self.evaluator.data

    @property
    def samples(self) -> list[int]:
        """How many samples each step of an epoch has."""
        return self.plan.samples(self.train.sizes)

    @property
    def picks_best(self) -> bool:
        """Whether there is a best.pt: the test split never picks one."""
        return self.objective.name.split("/")[0] in ("val", "train")

    @property
    def example(self) -> Tensor:
        """One sample (1, ...) as the model sees it."""
        return example(self.data, self.compute.device, self.compute.dtype)

    def give_up(self) -> None:
        """Stop waiting for a batch whose reading does not come to an end.

        Raises:
            StoppedError: one is being waited for.
        """
        self.train.give_up()
        self.evaluator.give_up()

    def alone(self) -> None:
        """Evaluate without the other ranks from now on, for their training is over."""
        self.evaluator.rounds = None

    def close(self, at_once: bool) -> None:
        """End what reads batches; `at_once` whatever it is at."""
        self.train.close(at_once)
        self.evaluator.close(at_once)

    def evaluate(self) -> Row:
        """The metrics of the split that is evaluated during training."""
        if self.ranks.size > 1 and self.config.sync_batchnorm == "false":
            self.ranks.copy(self.evaluator.model.buffers())  # the running means of each are of its own samples
        return self.evaluator(self.evaluated).named(self.evaluated, *self.kinds) if self.evaluated else {}

    @property
    def kinds(self) -> list[str]:
        """The measures that the training itself asks for: others may be computed when it is over."""
        target = [self.target.kind] if self.target is not None else []
        return [*self.config.metrics, self.objective.kind, *target]


def _plan(config: Train) -> Plan:
    every = config.evaluate
    assert isinstance(config.epochs, int), "the data have chosen it"
    return Plan(config.epochs, config.max_steps, config.accumulate, every.every_epochs, every.every_steps)


def _average(config: Train, model: nn.Module) -> Average | None:
    if config.ema is None:
        return None
    return Average(model, config.ema, skips=config.on_nan == "skip", finite=config.on_nan != "ignore")


def _agreement(
    ranks: Ranks, state: State, optimizer: torch.optim.Optimizer, hooks: Sequence[OwnHook], compute: Compute
) -> "Agreement | None":
    """What several ranks agree by; all know whether rank 0 has hooks that see each step."""
    if ranks.size == 1:
        return None
    from trainer.engine.ranks.agreement import LATE, Agreement  # late, as one process does without

    steps = ranks.told(any(hook.sees_steps for hook in hooks))
    return Agreement(ranks, state, optimizer, steps, LATE if compute.device.type == "cuda" else 0)


def assemble(
    config: Train,
    screen: Report,
    found: Checkpoint | None = None,
    beside: Parts | None = None,
    anew: bool = False,
    ranks: Ranks = ALONE,
) -> Parts:
    """Build every part without writing anything; the model gets the weights of `found`, if that is given.

    If the training begins `anew` with these weights, it may have other classes or columns than that of `found`. The
    screen is told, also later, what did not go as planned. With `beside`, the parts of another run with the same data
    on the same device, the samples are shared with that. With several `ranks`, each assembles the same parts, of which
    only the batches are cut.

    Raises:
        UserError: something does not exist, does not fit or is not here.
    """
    for line in custom.announced(config):
        screen.say(line)
    tracking.check(config.tracking)
    compute = device.choose(config.device, config.precision, config.deterministic)
    preprocessing.prepare(config)
    planned = {"plan": found.description["plan"]} if found is not None and found.description.get("plan") else None
    with screen.doing(f"reading {config.title('data')}"):
        data = load_dataset(config, screen.track, beside.data if beside is not None else None, planned)
    chosen = choose(config, data)
    loss = choose_loss(config, data, compute)
    rng.seed(config.seed)
    first, outputs = example(data, compute.device, compute.dtype), int(data.facts()["outputs"])
    fit = Transfer(found, data.columns, data.classes, screen.say) if found is not None and anew else checkpoint.fitting
    with screen.doing(f"building {config.called('model')}"):
        model = build_model(config, first, outputs, found, fit)
    if found is None and (offer := preprocessing.offer(config)):
        screen.say(offer)
    placing = placed(config, data, compute.device, found is not None and not anew)  # before anything lies there
    chosen += settled(config, data, placing, ranks.told)
    shared = beside.train if beside is not None else None
    train = training_batches(config, data, first.device, first.dtype, placing, has_batch_norm(model), shared)
    if train.sizes[-1] == 1 and has_batch_norm(model) and not trains_on(model, first):
        raise single_sample(train)
    apart = ranks.size > 1 and config.sync_batchnorm == "false" and has_batch_norm(model)
    if apart and train.sizes[-1] < 2 * ranks.size and not trains_on(model, first):
        raise ConfigError(
            f"sync_batchnorm=false: the last batch has {train.sizes[-1]} samples for {ranks.size} devices, and batch "
            "normalisation needs two on each",
            "set data.drop_last=true, or leave sync_batchnorm=false out",
        )
    evaluated = "test" if config.evaluate.split == "test" else "val" if data.val is not None else None
    own = make_metrics(config, data, evaluated or "test", compute)
    objective = choose_objective(config, data, evaluated)
    named = [metric.name for metric in own]
    target = choose_target(config.until, data, evaluated, named) if config.until is not None else None
    plan = _plan(config)
    total_steps = plan.total_steps(len(plan.samples(train.sizes)))
    draws = "augment" in config.own
    compiled = kind(config.compile, compute.device.type, total_steps, config.on_nan, draws, ranks.size)
    optimizer = make_optimizer(config, model, outputs, captured=compiled == "cudagraph")
    schedule = make_schedule(config, optimizer, total_steps, followed(objective, evaluated))
    state, average = State(), _average(config, model)
    hooks = make_hooks(config, model, optimizer, screen.say) if ranks.first else []
    agreement = _agreement(ranks, state, optimizer, hooks, compute)
    making = compiled, model, loss, optimizer, schedule, train, compute, config, screen.say, agreement
    step, batches = make_step(*making)
    shown, size = average.averaged if average is not None else model, eval_batch_size(config, data)
    evaluator = Evaluator(shown, data, compute, loss, size, placing, lambda: state.interrupted, own=own)
    if beside is not None:
        evaluator.share(beside.evaluator)
    if agreement is not None:
        evaluator.rounds = agreement.rounds()
    return Parts(
        config=config,
        compute=compute,
        model=model,
        train=train,
        evaluator=evaluator,
        optimizer=optimizer,
        schedule=schedule,
        objective=objective,
        target=target,
        evaluated=evaluated,
        plan=plan,
        step=step,
        batches=batches,
        compiled=compiled,
        state=state,
        trained=beside.trained if beside is not None else Trained(data.train),
        average=average,
        hooks=hooks,
        ranks=ranks,
        agreement=agreement,
        chosen=chosen,
    )
