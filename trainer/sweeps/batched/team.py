"""Trainings that are one training of several models: stepped and evaluated as one program by the plain loop."""

from collections.abc import Callable, Sequence

import torch

from trainer.engine.loop import Hook, fit
from trainer.engine.losses import stacked as stacked_loss
from trainer.engine.state import BatchSource, Row, State, Step
from trainer.engine.steps.captured import CapturedStep, RawBatches, capturable
from trainer.engine.unused import NamesUnused
from trainer.models.mode import evaluating
from trainer.run.signals import stopping
from trainer.sweeps.batched import alignment, evaluation
from trainer.sweeps.batched.batches import stacked
from trainer.sweeps.batched.member import Member
from trainer.sweeps.batched.optimizer import StackedOptimizer
from trainer.sweeps.batched.stack import Stack
from trainer.sweeps.batched.step import StackedStep
from trainer.system.errors import TrainerError, TrainingFailedError, named
from trainer.system.streams import show_traceback


def train(members: Sequence[Member], say: Callable[[str], None], leaves: Callable[[Member], None], watch: Hook) -> None:
    """Train `members`, which stand at the same place, until each is over, and call `leaves` with each that is.

    When a member is over, the loop ends, the others are stacked anew, and a new loop resumes from the same state.
    """
    first, running = members[0].state, list(members)
    state = State(first.epoch, first.batch, first.step, reported=first.reported)
    with stopping(state, *(member.state for member in members)):
        for member in running:
            member.tell("on_start", state)
        alignment.secure(running)
        while running:
            over = [member for member in running if member.is_over()]
            running = [member for member in running if member not in over]
            alignment.secure(running if over else [])
            for member in over:
                leaves(member)
            if running:
                _until_one_is_over(running, state, say, watch)


def _until_one_is_over(running: Sequence[Member], state: State, say: Callable[[str], None], watch: Hook) -> None:
    """Train a team until a member is over; afterwards no member holds anything that is stacked."""
    try:
        team = Team(running, state, say)
        hooks = [team, watch]
        if state.step == 0:
            hooks.append(NamesUnused(team.stack.trained.items, say))
        fit(team.step, team.batches, team.first.plan, team.evaluate, hooks, state)
    except Exception as error:  # of no single member: the device is out of memory, say, or this is a bug
        show_traceback(error)
        for member in running:
            member.error = member.error or of_all(error)
    for member in running:
        member.leave()


def of_all(error: BaseException) -> BaseException:
    """The error that each job ends with where `error` ends all of them, whose traceback is shown once."""
    if isinstance(error, TrainerError) or not isinstance(error, Exception):
        return error
    return TrainingFailedError(named(error))


class Team(Hook):
    """The models of some trainings with the same data, or folds of them, model, loss and length, stacked.

    The numbers of the optimizer, the schedule, the seed, dropout and clipping may differ. Every training keeps its own
    `Parts`; its model's parameters and its optimizer's state are views of what is stacked here. As a hook, the team
    passes each event on to its members, each with its own figures.
    """

    def __init__(self, members: Sequence[Member], state: State, say: Callable[[str], None]) -> None:
        self.members = sorted(members, key=lambda member: member.kind)
        every = [member.parts for member in self.members]
        self.state, self.first = state, every[0]
        state.stop, state.losses = "", torch.stack([parts.state.losses for parts in every])
        generators = [member.random.cpu for member in self.members]
        self.stack = self.evaluated = Stack([parts.model for parts in every], generators)
        if self.first.average is not None:
            self.evaluated = Stack([parts.evaluator.model for parts in every], generators)
        batches = stacked([parts.train for parts in every])
        follow = any(parts.schedule.moves_momentum for parts in every)
        kinds = [member.kind for member in self.members]
        self._together = any(member.planned.together for member in members)
        parameters, own = [*self.stack.trained.values()], [parts.optimizer for parts in every]
        self.optimizer = StackedOptimizer(parameters, own, kinds, follow, steady=self._together)
        limits = [parts.config.clip_norm for parts in every]
        loss, compute = stacked_loss([parts.step.loss for parts in every]), self.first.compute
        step = StackedStep(self.stack, loss, self.optimizer, batches.shared, limits, compute, batches.apart)
        self.step: Step = step
        self.batches: BatchSource = batches
        if self.first.compiled == "cudagraph":
            whole = capturable(self.optimizer.optimizer) and not follow
            self.step, self.batches = CapturedStep(step, batches.inputs, whole, say), RawBatches(batches)
        self._shown = [  # TensorBoard's histograms look for gradients in the models
            (job, dict(parts.model.named_parameters()))
            for job, parts in enumerate(every)
            if parts.config.tensorboard.enabled and parts.config.tensorboard.histograms
        ]

    def evaluate(self) -> Row:
        """The metrics of the split that is evaluated during training: for each a list with one value per member.

        It is None where a member, whose objective is another, has no such metric.

        Raises:
            StoppedError: a signal came before the last batch.
        """
        evaluated = self.first.evaluated
        if evaluated is None:
            return {}
        evaluators = [member.parts.evaluator for member in self.members]
        with evaluating(self.evaluated.template), torch.no_grad(), self.first.compute.autocast():
            found = evaluation.of_each(self.evaluated, evaluators, evaluated, lambda: self.state.interrupted)
        each: list[Row] = []
        for member, its in zip(self.members, found, strict=True):
            member.parts.evaluator.latest = its
            each.append(its.named(evaluated, *member.parts.kinds))
        return {name: [own.get(name) for own in each] for own in each for name in own}

    def on_start(self, state: State) -> None:
        for member, losses in zip(self.members, state.losses, strict=True):
            member.state.losses = losses

    def on_step(self, state: State) -> None:
        for job, parameters in self._shown:
            for name, values in self.stack.trained.items():
                parameters[name].grad = values.grad[job] if values.grad is not None else None
        self._tell("on_step")

    def on_evaluation(self, state: State, row: Row) -> None:
        self._tell("on_evaluation", row)

    def on_epoch(self, state: State, row: Row) -> None:
        self._tell("on_epoch", row)

    def _tell(self, event: str, row: Row | None = None) -> None:
        for number, member in enumerate(self.members):
            if member.error is None:
                own = {k: v[number] if isinstance(v, list) else v for k, v in (row or {}).items()}
                rows = [{k: v for k, v in own.items() if v is not None}] if row else []
                member.tell(event, self.state, *rows)
        if self._together:
            alignment.secure_with_one(self.members, self.state.step)
        self.optimizer.refill()  # schedules have moved the learning rates
        if any(member.is_over() for member in self.members):
            self.state.stop = self.state.stop or "a member of the team is over"
