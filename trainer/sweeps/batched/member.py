"""A training in a team: which trainings can be stacked, and how one hears of the team's steps."""

import copy
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config.base import Custom
from trainer.data.placing import ON_DEVICE
from trainer.engine import rng
from trainer.engine.loop import Hooks
from trainer.engine.optimizers import declared, is_changed
from trainer.engine.state import Row, State
from trainer.engine.tally import CHECK_SECONDS, check_finite
from trainer.models.build import has_batch_norm
from trainer.models.mode import evaluating
from trainer.run.training import Training
from trainer.sweeps.attempt import Attempt
from trainer.sweeps.batched import dropout
from trainer.sweeps.batched.optimizer import alike
from trainer.sweeps.batched.stack import Stack
from trainer.sweeps.grouping import stays_alone
from trainer.system.errors import first_line


class Member:
    """A training that may be in a team: it has its own hooks and files, and its own random generators."""

    def __init__(self, attempt: Attempt, training: Training) -> None:
        self.attempt, self.training, self.planned = attempt, training, attempt.planned
        self.since = time.monotonic()
        self.parts, self.state = training.parts, training.state
        self.random = rng.Own()
        self._draw_from(self.random)
        self.error: BaseException | None = None  # the error that has ended this training
        self._hooks = Hooks(training.hooks)
        self._checked = time.perf_counter()

    def _draw_from(self, generators: rng.Generators) -> None:
        self.parts.generators = self.training.stateful["rng"] = generators

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and batch: only trainings that stand at the same place can step together."""
        return self.state.epoch, self.state.batch

    @property
    def kind(self) -> str:
        """Equal for trainings whose optimizers differ in the learning rate alone until they end."""
        moved = repr(self.parts.config.scheduler) if self.parts.schedule.moves_momentum else ""
        return alike(self.parts.optimizer) + moved

    @property
    def pace(self) -> object:
        """Equal for trainings whose batches can be stacked: as many an epoch, for as many epochs.

        They need not be of the same sizes where no sample affects another, as is so in all models of trainer's that
        have no batch normalisation.
        """
        sizes = self.parts.train.sizes
        return self.parts.plan, tuple(sizes) if isinstance(self.parts.config.model, Custom) else len(sizes)

    @property
    def form(self) -> object:
        """The structure of its model and its optimizer's state without values: equal where both can be stacked.

        The config does not tell it: a model may draw a number, or freeze a layer, by its seed.
        """
        model, state = self.parts.model, self.parts.optimizer.state
        parameters = [(name, p.shape, p.requires_grad, p in state) for name, p in model.named_parameters()]
        modules = [(name, type(module), _plain(module)) for name, module in model.named_modules()]
        return repr((parameters, [(name, values.shape) for name, values in model.named_buffers()], modules))

    def tell(self, event: str, state: State, *row: Row) -> None:
        """Pass an event of the team's loop on to this training's hooks. If one fails, only this training ends."""
        own = self.state
        try:
            self._check(event, *row)
            own.epoch, own.batch, own.step, own.reported = state.epoch, state.batch, state.step, state.reported
            self.parts.plan.stop_at_length(own)
            getattr(self._hooks, event)(own, *row)
        except BaseException as error:
            self.error = error

    def _check(self, event: str, *row: Row) -> None:
        """Check the losses as the loop does for a single model: now and then, at each row and at the end."""
        now = time.perf_counter()
        due = now - self._checked > CHECK_SECONDS if event == "on_step" else event == "on_end"
        if self.parts.step.on_nan == "stop" and (due or not all(math.isfinite(r["train/loss"]) for r in row)):
            self._checked = now
            check_finite(self.state)

    def secure(self) -> None:
        """Have a checkpoint of this step on the disk. If it cannot be written, only this training ends."""
        try:
            self.training.checkpoints.secure(self.state)
        except BaseException as error:
            self.error = error

    def is_over(self) -> bool:
        """Whether this training takes no further step, and owes no row of an epoch that `max_steps` has cut short."""
        state, plan = self.state, self.parts.plan
        owes = plan.reached(state) and state.batch > state.reported
        stopped = bool(state.interrupted) or (bool(state.stop) and not owes)
        return self.error is not None or stopped or state.epoch >= plan.epochs

    def rest(self) -> None:
        """Tell the hooks that this training has ended.

        Raises:
            BaseException: the error that has ended it.
        """
        if self.error is None:
            self.tell("on_end", self.state)
        if self.error is not None:
            raise self.error

    def leave(self) -> None:
        """Copy its values out of the stack, which would otherwise stay in memory as long as this training."""
        models, optimizer = {self.parts.model, self.parts.evaluator.model}, self.parts.optimizer
        for values in [values for model in models for values in (*model.parameters(), *model.buffers())]:
            values.data, values.grad = values.data.clone(), None
        for kept in optimizer.state.values():
            kept.update({k: v.clone() for k, v in kept.items() if isinstance(v, Tensor)})
        self.state.losses = self.state.losses.clone()

    def train_alone(self) -> None:
        """Draw from the process's generators after all; they continue from the state of its own."""
        shared = rng.Generators()
        shared.load_state_dict(self.random.state_dict())
        self._draw_from(shared)


def _plain(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are numbers or text, without rates of dropout: each job has its own rate."""
    rates = ("p",) if type(module) in dropout.KINDS else ()
    kept = (int, float, str, tuple, list, type(None))
    return {name: value for name, value in vars(module).items() if isinstance(value, kept) and name not in rates}


def reason_against(member: Member) -> str:
    """Why a training cannot be in a team with others like it, or "" if it can."""
    parts = member.parts
    if own := stays_alone(parts.config):
        return f"{own} is your own, which is made for one model"
    kind = declared(parts.optimizer)
    if kind is None or not kind.linear or is_changed(parts.optimizer):
        return "its optimizer is none of torch's that move by multiples of the learning rate"
    groups = [[id(p) for p in group["params"]] for group in parts.optimizer.param_groups]
    if groups != [[id(p) for p in parts.model.parameters() if p.requires_grad]]:
        return "its optimizer has groups of parameters"
    if parts.evaluator.placing != ON_DEVICE:
        return f"its samples are {parts.evaluator.placing}"
    if parts.step.on_nan == "skip":
        return "on_nan=skip looks at each step by itself"
    if parts.config.max_minutes is not None:
        return "max_minutes ends each job by its own clock"
    if parts.compiled == "inductor":
        return "compile=inductor compiles one model"
    if parts.compute.device.type not in ("cpu", "cuda"):
        return f"models are not stacked on device={parts.compute.device.type}"
    if has_batch_norm(parts.model, frozen=True):
        return "batch normalisation keeps running means of one model"
    if any(_holds_tensors(value) for module in parts.model.modules() for value in vars(module).values()):
        return "it has tensors that are neither parameters nor buffers"
    return _reason_of_model(member)


def _holds_tensors(value: object) -> bool:
    """Whether an attribute is, or contains, a tensor: recurrent layers also keep their weights in a list."""
    return isinstance(value, Tensor) or (isinstance(value, list | tuple) and any(map(_holds_tensors, value)))


def _reason_of_model(member: Member) -> str:
    """Why vmap cannot run the model, or "": this is found by running two copies of it."""
    parts = member.parts
    devices = [parts.compute.device] if parts.compute.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        try:
            copies = [copy.deepcopy(parts.model) for _ in range(2)]
            inputs = parts.example.expand(2, *parts.example.shape[1:])
            with parts.compute.autocast():
                before = dict(copies[0].named_buffers())
                copies[0](inputs)
                if any(before[name] is not values for name, values in copies[0].named_buffers()):
                    return "it puts new tensors in the place of its buffers"
                stack = Stack(copies, [torch.Generator(), torch.Generator()])
                stack(inputs, shared=True).sum().backward()  # type: ignore[no-untyped-call]
                with evaluating(stack.template), torch.no_grad():
                    stack(inputs, shared=True)
        except Exception as error:  # whatever a model does that vmap has no rule for
            return first_line(error)
    return ""
