"""Trainings that are taken together: stepped and evaluated as one program."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from trainer.data.batches import Raw
from trainer.engine import rng
from trainer.engine.loop import Row, StoppedError
from trainer.engine.metrics import wide
from trainer.engine.steps.captured import CapturedStep, capturable
from trainer.models.mode import evaluating
from trainer.run.parts import Parts
from trainer.sweeps.batched import dropout
from trainer.sweeps.batched.optimizer import KINDS, StackedOptimizer, alike
from trainer.sweeps.batched.stack import Stack
from trainer.sweeps.batched.step import StackedBatches, StackedStep


class Numbers:
    """Stands for the batches of one training in a team, which has them: their numbers."""

    def __init__(self, parts: Parts) -> None:
        self.sizes = parts.train.sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[int]:
        return iter(range(start, len(self.sizes)))


class Member:
    """A training that may be in a team: from now on it draws from generators of its own."""

    def __init__(self, parts: Parts, random: rng.Own) -> None:
        self.parts, self.random = parts, random
        parts.random = random

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands: only those that stand at the same place can step together."""
        return self.parts.state.epoch, self.parts.state.batch

    @property
    def kind(self) -> str:
        """The same for those whose optimizers differ in the learning rate alone, from now on to the end."""
        moved = repr(self.parts.config.section("scheduler")) if self.parts.schedule.moves_momentum else ""
        return alike(self.parts.optimizer) + moved

    @property
    def form(self) -> object:
        """What its model computes with beside its values: the same for those that can be stacked.

        The config does not tell: a model may have drawn a number, or frozen a layer, by its seed.
        """
        model = self.parts.model
        parameters = [(name, p.shape, p.requires_grad) for name, p in model.named_parameters()]
        modules = [(name, type(module), _plain(module)) for name, module in model.named_modules()]
        return repr((parameters, [(name, values.shape) for name, values in model.named_buffers()], modules))

    def leave(self) -> None:
        """Be trained alone after all: draw from the process's generators, which go on from where its own are."""
        self.parts.random = rng.Generators()
        self.parts.random.load_state_dict(self.random.state_dict())


def _plain(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are numbers or text, but for rates of dropout: each job has its own."""
    rates = ("p",) if type(module) in dropout.KINDS else ()
    kept = (int, float, str, tuple, list, type(None))
    return {name: value for name, value in vars(module).items() if isinstance(value, kept) and name not in rates}


def reason_against(parts: Parts) -> str:
    """Why a training cannot be taken together with others like it; nothing if it can."""
    if type(parts.optimizer) not in KINDS:
        return "its optimizer is none of torch's that move by multiples of the learning rate"
    groups = [[id(p) for p in group["params"]] for group in parts.optimizer.param_groups]
    if groups != [[id(p) for p in parts.model.parameters() if p.requires_grad]]:
        return "its optimizer has groups of parameters"
    if parts.evaluator.workers is not None:
        return "its samples are streamed"
    if parts.plan.on_nan == "skip":
        return "on_nan=skip looks at each step by itself"
    if parts.compiled == "inductor":
        return "compile=inductor compiles one model"
    if parts.compute.device.type not in ("cpu", "cuda"):
        return f"models are not stacked on device={parts.compute.device.type}"
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in parts.model.modules()):
        return "batch normalisation keeps running means of one model"
    if any(_holds_tensors(value) for module in parts.model.modules() for value in vars(module).values()):
        return "it has tensors that are neither parameters nor buffers"
    return _reason_of_model(parts)


def _holds_tensors(value: object) -> bool:
    """As recurrent layers do, which have their weights in a list besides."""
    return isinstance(value, Tensor) or (isinstance(value, list | tuple) and any(map(_holds_tensors, value)))


def _reason_of_model(parts: Parts) -> str:
    """Why vmap cannot run the model, found by trying with a copy of it."""
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
                outputs = stack(inputs, shared=True)
                outputs.sum().backward()  # type: ignore[no-untyped-call]
                with evaluating(stack.template), torch.no_grad():
                    stack(inputs, shared=True)
        except Exception as error:  # whatever a model does that vmap has no rule for
            return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""


class Team:
    """Trainings with the same data, model, loss and length, at the same place.

    What may differ: the numbers of the optimizer, schedule, seed, dropout, clipping. Every training keeps its own
    `Parts`; its model's parameters and its optimizer's state are views of what is stacked here.
    """

    def __init__(self, members: Sequence[Member], say: Callable[[str], None]) -> None:
        self.members = sorted(members, key=lambda member: member.kind)
        every = [member.parts for member in self.members]
        self.first = first = every[0]
        self.stack = Stack([parts.model for parts in every], [member.random.cpu for member in self.members])
        self.batches = StackedBatches([parts.train for parts in every])
        follow = any(parts.schedule.moves_momentum for parts in every)
        kinds = [member.kind for member in self.members]
        optimizer = StackedOptimizer(
            [*self.stack.trained.values()], [parts.optimizer for parts in every], kinds, follow
        )
        limits = [parts.config.settings.clip_norm for parts in every]
        autocast = first.compute.autocast
        eager = StackedStep(self.stack, first.loss, optimizer, self.batches.shared, limits, autocast)
        self._refill = optimizer.refill
        self._step: Callable[[Sequence[Raw]], Tensor]
        if first.compiled == "cudagraph":
            whole = capturable(optimizer.optimizer) and not follow
            self._step = CapturedStep(eager, self.batches.ready, whole, say)
        else:
            self._step = lambda raws: eager([self.batches.ready(raw) for raw in raws])
        self.losses = torch.stack([parts.state.losses for parts in every])
        for parts, losses in zip(every, self.losses, strict=True):
            parts.state.losses = losses
        self._drawn: Iterator[Raw] | None = None
        self._shown = [  # TensorBoard's histograms look for gradients in the models
            (job, dict(parts.model.named_parameters()))
            for job, parts in enumerate(every)
            if parts.config.settings.tensorboard.enabled and parts.config.settings.tensorboard.histograms
        ]

    def step(self, numbers: Sequence[int]) -> None:
        """Take the step on the batches of these numbers; its losses are in the members' states then."""
        state = self.first.state
        if self._drawn is None or numbers[0] == 0:
            self._drawn = self.batches.epoch(state.epoch, numbers[0])
        self._refill()
        self.losses[:, state.batch] = self._step([*islice(self._drawn, len(numbers))])
        for job, parameters in self._shown:
            for name, values in self.stack.trained.items():
                parameters[name].grad = values.grad[job] if values.grad is not None else None

    def evaluate(self) -> dict[int, Row]:
        """The metrics of the split that is evaluated during training, by the `id` of each member.

        Raises:
            StoppedError: a signal came before the last batch.
        """
        evaluated, evaluator, loss = self.first.evaluated, self.first.evaluator, self.first.loss
        if evaluated is None:
            return {id(member): {} for member in self.members}
        metric = evaluator.metric(len(self.members))
        totals = torch.zeros(len(self.members), dtype=wide(self.stack.device), device=self.stack.device)
        count = 0
        with evaluating(self.stack.template), torch.no_grad(), self.first.compute.autocast():
            for inputs, targets in evaluator.batches(evaluated):
                if evaluator.stopped():
                    raise StoppedError
                outputs = self.stack(inputs, shared=True)
                metric.update(outputs, targets)
                totals += loss.of_each(outputs, targets).to(totals.dtype) * (len(targets) if loss.mean else 1)
                count += len(targets)
        rows = {}
        for member, found, total in zip(self.members, metric.each(), totals.tolist(), strict=True):
            found.metrics = {"loss": total / (count if loss.mean else 1), **found.metrics}
            member.parts.evaluator.latest = found
            rows[id(member)] = found.named(evaluated)
        return rows
