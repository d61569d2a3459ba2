"""The parts of batched training, each beside a loop over plain torch modules and optimizers."""

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from test_captured import Pretend
from torch import Tensor, nn

from trainer.config.data import Augment
from trainer.config.scheduler import OneCycle
from trainer.data.augment import Augmenter
from trainer.data.batches import Batch, Batches
from trainer.data.splits import Split
from trainer.engine import losses, metrics
from trainer.engine.device import Compute
from trainer.engine.schedule import Schedule
from trainer.engine.steps.captured import CapturedStep, capturable
from trainer.engine.steps.eager import EagerStep
from trainer.models.mlp import ACTIVATIONS, MLP
from trainer.sweeps.batched.batches import stacked as side_by_side
from trainer.sweeps.batched.chain import chain
from trainer.sweeps.batched.dropout import Dropout
from trainer.sweeps.batched.optimizer import StackedOptimizer, alike
from trainer.sweeps.batched.stack import Stack
from trainer.sweeps.batched.step import StackedStep

CPU = torch.device("cpu")
CROSS, MSE = losses.make("cross_entropy"), losses.make("mse")
JOBS = 3


class Tied(nn.Module):
    """One matrix, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(5, 5), nn.Linear(5, 5, bias=False)
        self.back.weight = self.there.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.there(x).tanh())


class Odd(nn.Module):
    """Parameters of no dimensions, without a gradient, and frozen ones; buffers of floats and of integers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(()))
        self.unused = nn.Parameter(torch.randn(4))
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.last = nn.Linear(5, 5, bias=False)
        self.register_buffer("mean", torch.randn(5))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
            self.calls += 1
        return self.last(self.frozen(x - self.mean)) * self.scale


class Sequences(nn.Module):
    """A linear layer on three dimensions, and on two."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.all = nn.Linear(1, 2), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(self.each(x[:, :, None]).flatten(1))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(5, 5),
    "no-bias": lambda: nn.Linear(5, 5, bias=False),
    "norm": lambda: nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 5)),
    "tied": Tied,
    "odd": Odd,
    "sequences": Sequences,
}
OPTIMIZERS: dict[str, Callable[[list[Tensor], int], torch.optim.Optimizer]] = {
    "sgd": lambda p, job: torch.optim.SGD(p, lr=0.1 * (job + 1), momentum=(0.0, 0.9, 0.5)[job]),
    "adam": lambda p, job: torch.optim.Adam(p, lr=10.0**-job, betas=((0.9, 0.999), (0.5, 0.9))[job % 2]),
    "adamw": lambda p, job: torch.optim.AdamW(p, lr=10.0**-job, weight_decay=0.1 * job, amsgrad=job == 1),
    "rmsprop": lambda p, job: torch.optim.RMSprop(p, lr=10.0**-job, momentum=0.9, centered=job == 2),
    "adagrad": lambda p, job: torch.optim.Adagrad(p, lr=10.0**-job, lr_decay=0.1, initial_accumulator_value=0.1),
}


def made(kind: str, count: int = JOBS) -> list[nn.Module]:
    """Models of one kind with values of their own."""
    found = []
    for job in range(count):
        torch.manual_seed(job)
        found.append(KINDS[kind]().double())
    return found


def optimized(models: Sequence[nn.Module], name: str) -> list[torch.optim.Optimizer]:
    """An optimizer for each, in the order of their kinds."""
    own = [OPTIMIZERS[name]([p for p in m.parameters() if p.requires_grad], job) for job, m in enumerate(models)]
    return sorted(own, key=alike)


def drawn(steps: int, size: int = 7, outputs: int = 5) -> list[Batch]:
    """Batches of tables and values."""
    torch.manual_seed(99)
    return [(torch.randn(size, 5).double(), torch.randn(size, outputs).double()) for _ in range(steps)]


class Alone:
    """The same models and optimizers, each with steps of its own."""

    def __init__(self, models: list[nn.Module], name: str, norms: Sequence[float | None], loss: losses.Loss) -> None:
        self.models = models
        self.own = [
            OPTIMIZERS[name]([p for p in m.parameters() if p.requires_grad], job) for job, m in enumerate(models)
        ]
        self.steps = [
            EagerStep(m, loss, o, norm, nullcontext) for m, o, norm in zip(models, self.own, norms, strict=True)
        ]

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        return torch.stack([step(batches) for step in self.steps])


class Together:
    """Them as one program."""

    def __init__(
        self,
        models: list[nn.Module],
        name: str,
        norms: Sequence[float | None],
        loss: losses.Loss,
        own: list[torch.optim.Optimizer] | None = None,
    ) -> None:
        own = own or [
            OPTIMIZERS[name]([p for p in m.parameters() if p.requires_grad], job) for job, m in enumerate(models)
        ]
        order = sorted(range(len(models)), key=lambda job: alike(own[job]))
        self.back = [order.index(job) for job in range(len(models))]
        self.models, self.own = models, own
        self.stack = Stack([models[job] for job in order], [torch.Generator() for _ in order])
        kinds = [alike(own[job]) for job in order]
        parameters = [*self.stack.trained.values()]
        self.stacked = StackedOptimizer(parameters, [own[job] for job in order], kinds, follow=False)
        limits = [norms[job] for job in order]
        self.step = StackedStep(self.stack, loss, self.stacked, True, limits, Compute(CPU, "float32"))

    def __call__(self, batches: Sequence[Batch]) -> Tensor:
        self.stacked.refill()
        return self.step([(*batch, None) for batch in batches])[self.back]


def close(one: Any, other: Any, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def equal(together: Together, alone: Alone) -> None:
    """Models and the states of optimizers are the same."""
    for model, other in zip(together.models, alone.models, strict=True):
        close(dict(model.state_dict()), dict(other.state_dict()))
    for own, theirs in zip(together.own, alone.own, strict=True):
        found, expected = own.state_dict(), theirs.state_dict()
        assert found["param_groups"] == expected["param_groups"]
        close(found["state"], expected["state"])


# --- steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norms", [(None, None, None), (0.01, None, 1.0)], ids=["free", "clipped"])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("kind", list(KINDS))
def test_steps_of_stacked_models_are_those_of_each(kind: str, name: str, norms: tuple[float | None, ...]) -> None:
    alone = Alone(made(kind), name, norms, MSE)
    together = Together(made(kind), name, norms, MSE)
    for batch in drawn(6):
        close(together([batch]), alone([batch]))
    equal(together, alone)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_team_that_shrinks_goes_on_where_it_was(name: str) -> None:
    """Momentum and moments are those of before, also where one job's optimizer has none."""
    alone, before = Alone(made("odd"), name, (None,) * JOBS, MSE), Together(made("odd"), name, (None,) * JOBS, MSE)
    batches = drawn(8)
    for batch in batches[:4]:
        alone([batch])
        before([batch])
    kept = copy.deepcopy((before.models[0].state_dict(), before.own[0].state_dict()))
    less = Together(before.models[1:], name, (None,) * 2, MSE, before.own[1:])
    left = Alone(alone.models[1:], name, (None,) * 2, MSE)
    left.own, left.steps = alone.own[1:], alone.steps[1:]
    for batch in batches[4:]:
        close(less([batch]), left([batch]))
    equal(less, left)
    close((before.models[0].state_dict(), before.own[0].state_dict()), kept, 0)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimizers_begin_where_a_checkpoint_left_them(name: str) -> None:
    alone = Alone(made("tied"), name, (None,) * JOBS, MSE)
    for batch in drawn(3):
        alone([batch])
    models = made("tied")
    own = [OPTIMIZERS[name](list(m.parameters()), job) for job, m in enumerate(models)]
    for model, other, optimizer, theirs in zip(models, alone.models, own, alone.own, strict=True):
        model.load_state_dict(other.state_dict())
        optimizer.load_state_dict(copy.deepcopy(theirs.state_dict()))
    together = Together(models, name, (None,) * JOBS, MSE, own)
    for batch in drawn(3):
        close(together([batch]), alone([batch]))
    equal(together, alone)


def test_a_parameter_that_gets_its_first_gradient_late_has_its_state_kept() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.calls = nn.Linear(5, 5), nn.Linear(5, 5), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.second(self.first(x)) if self.calls > 2 else self.first(x)

    def models() -> list[nn.Module]:
        torch.manual_seed(0)
        return [Late().double() for _ in range(JOBS)]

    alone, together = Alone(models(), "adam", (None,) * JOBS, MSE), Together(models(), "adam", (None,) * JOBS, MSE)
    for batch in drawn(5):
        close(together([batch]), alone([batch]))
    equal(together, alone)


@pytest.mark.parametrize(("loss", "smoothing"), [("cross_entropy", 0.0), ("cross_entropy", 0.2), ("half_sse", 0.0)])
def test_gradients_of_several_batches_add_up(loss: str, smoothing: float) -> None:
    chosen = losses.make(loss, smoothing)
    batches = [*drawn(2), *drawn(1, size=1)]
    if loss == "cross_entropy":
        batches = [(inputs, targets.argmax(1)) for inputs, targets in batches]
    alone = Alone(made("linear"), "sgd", (None,) * JOBS, chosen)
    together = Together(made("linear"), "sgd", (None,) * JOBS, chosen)
    for _ in range(3):
        close(together(batches), alone(batches))
    equal(together, alone)


def test_a_job_that_is_not_finite_leaves_the_others_as_they_are() -> None:
    models = made("odd")
    with torch.no_grad():
        models[1].last.weight[0, 0] = torch.nan
    alone = Alone(copy.deepcopy(models), "adam", (0.1, 0.1, None), MSE)
    together = Together(models, "adam", (0.1, 0.1, None), MSE)
    for batch in drawn(4):
        found, expected = together([batch]), alone([batch])
        close(found[[0, 2]], expected[[0, 2]])
        assert found[1].isnan()
    for job in (0, 2):
        close(dict(models[job].state_dict()), dict(alone.models[job].state_dict()))


def test_bfloat16_is_close() -> None:
    """Matrices are multiplied in another order."""
    models = [model.float() for model in made("linear")]

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16)

    alone = Alone(copy.deepcopy(models), "sgd", (None,) * JOBS, MSE)
    together = Together(models, "sgd", (None,) * JOBS, MSE)
    together.step.autocast = autocast
    for step in alone.steps:
        step.autocast = autocast
    for inputs, targets in drawn(5):
        batch = [(inputs.float(), targets.float())]
        close(together(batch), alone(batch), 0.02)


def test_jobs_that_differ_in_the_learning_rate_alone_are_one_group_also_with_a_schedule_that_notes_it() -> None:
    models = made("linear")
    own = [torch.optim.SGD(m.parameters(), lr=0.1 * (job + 1), momentum=0.9) for job, m in enumerate(models)]
    for optimizer in own:
        Schedule(OneCycle(), optimizer, 10, "train/loss", "min")
    assert len({alike(optimizer) for optimizer in own}) == 1


def test_views_of_the_stack_are_the_models() -> None:
    """A job is evaluated, saved and loaded through its own model."""
    models = made("odd")
    stack = Stack(models, [torch.Generator()] * JOBS)
    inputs = drawn(1)[0][0]
    models[1].load_state_dict({name: values + 1 for name, values in models[1].state_dict().items()})
    for model in (*models, stack.template):
        model.eval()
    close(stack(inputs, True), torch.stack([model(inputs) for model in models]))
    assert set(stack.trained) == {"scale", "unused", "last.weight"}


# --- dropout ------------------------------------------------------------------------------------------


def dropped(layer: Callable[[float], nn.Module], rates: Sequence[float], shape: tuple[int, ...], shared: bool) -> None:
    """Compare the outputs of layers with `rates` in a stack with those that each gives alone."""
    torch.manual_seed(5)
    x = torch.rand(shape if shared else (len(rates), *shape)) + 1
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last) if shared else x
    own = [nn.Sequential(nn.Linear(1, 1), layer(rate)) for rate in rates]
    for model in own:
        model[0] = nn.Flatten(0, 0)  # nothing to learn
        model.register_parameter("some", nn.Parameter(torch.zeros(1)))
    expected = []
    for job, model in enumerate(own):
        torch.manual_seed(job)
        each = x if shared else x[job]
        if len(shape) == 4:
            each = each.contiguous(memory_format=torch.channels_last)
        expected.append(model(each.clone()))
    stack = Stack(own, [torch.Generator().manual_seed(job) for job in range(len(own))])
    close(stack(x, shared), torch.stack(expected))
    stack.template.eval()
    close(stack(x, shared), x.expand(len(rates), *shape) if shared else x)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout, (6, 5)),
        (nn.Dropout, (6, 3, 4, 4)),
        (lambda p: nn.Dropout(p, inplace=True), (6, 5)),
        (nn.Dropout1d, (6, 5, 4)),
        (nn.Dropout2d, (6, 3, 4, 4)),
        (nn.Dropout3d, (6, 3, 2, 2, 2)),
    ],
    ids=["table", "images", "inplace", "1d", "2d", "3d"],
)
def test_each_job_drops_what_it_would_alone(layer: Callable[[float], nn.Module], shape: Any, shared: bool) -> None:
    dropped(layer, (0.0, 0.3, 0.8), shape, shared)


def test_one_layer_in_several_places_drops_at_the_rate_of_each_job() -> None:
    models = []
    for rate in (0.0, 0.9):
        drop = nn.Dropout(rate)
        models.append(nn.Sequential(nn.Linear(5, 5), drop, nn.Linear(5, 5), drop))
    x, expected = torch.rand(3, 5), []
    for job, model in enumerate(models):
        torch.manual_seed(job)
        expected.append(model(x).detach())
    stack = Stack(models, [torch.Generator().manual_seed(job) for job in range(2)])
    close(stack(x, True).detach(), torch.stack(expected), 1e-6)


def test_without_any_rate_nothing_is_dropped_or_drawn() -> None:
    generator = torch.Generator()
    before = generator.get_state()
    stack = Stack([nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.0)) for _ in range(2)], [generator] * 2)
    stack(torch.rand(3, 5), True)
    assert generator.get_state().equal(before)


def test_on_other_devices_rates_are_placed_once_for_a_graph_can_move_nothing_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = [nn.Dropout(p) for p in (0.5, 0.2)]
    drop = Dropout(layers[0], layers, [torch.Generator()] * 2)
    there = torch.ones(2, 3, 5, device="meta")
    assert drop.of_all(there).shape == there.shape
    monkeypatch.setattr(torch, "tensor", None)
    assert drop.of_all(there).shape == there.shape


def test_a_rate_of_one_drops_everything_and_leaves_gradients() -> None:
    stack = Stack([nn.Sequential(nn.Linear(5, 5), nn.Dropout(p)) for p in (1.0, 0.5)], [torch.Generator()] * 2)
    outputs = stack(torch.rand(3, 5), True)
    assert not outputs[0].any()
    outputs.sum().backward()
    gradient = stack.parameters["0.weight"].grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient.isfinite().all()


# --- batches ------------------------------------------------------------------------------------------


def images(count: int = 20) -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return Split(pixels, torch.randint(10, (count,), generator=generator))


def table(count: int = 20) -> Split:
    generator = torch.Generator().manual_seed(0)
    return Split(torch.randn(count, 5, generator=generator), torch.randn(count, 2, generator=generator))


def augmenter() -> Augmenter:
    return Augmenter(Augment(flip=True, shift=2), 8, 8)


CASES: dict[str, dict[str, Any]] = {
    "images": {"split": images(), "batch_size": 8},
    "augmented": {"split": images(), "batch_size": 8, "augment": augmenter()},
    "whole, augmented": {"split": images(), "batch_size": None, "augment": augmenter()},
    "table": {"split": table(), "batch_size": 8},
    "whole": {"split": table(), "batch_size": None},
    "last of one": {"split": table(9), "batch_size": 4},
    "larger than the data": {"split": table(5), "batch_size": 64},
}


@pytest.mark.parametrize("seeds", [(3, 3, 3), (0, 1, 0)], ids=["one seed", "seeds"])
@pytest.mark.parametrize("case", list(CASES))
def test_batches_of_jobs_are_those_of_each(case: str, seeds: tuple[int, ...]) -> None:
    first = Batches(device=CPU, seed=seeds[0], **CASES[case])
    each = [first.reseeded(seed) for seed in seeds]
    stacked = side_by_side(each)
    assert stacked.sizes == first.sizes
    for epoch, start in ((0, 0), (2, 1)):
        found = list(stacked.epoch(epoch, start))
        expected = [list(batches.epoch(epoch, start)) for batches in each]
        assert len(found) == len(first) - start
        for number, (inputs, targets, padding) in enumerate(found):
            assert padding is None
            for job in range(len(seeds)):
                own = (inputs, targets) if stacked.shared else (inputs[job], targets[job])
                assert own[0].equal(expected[job][number][0])
                assert own[1].equal(expected[job][number][1])
    assert stacked.shared == (len(set(seeds)) == 1 or case in ("whole", "larger than the data"))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_a_chain_of_layers_is_run_as_each_model_is(activation: str, dropout: float, shared: bool) -> None:
    models = [MLP(6, 2, [5, 4], activation, dropout=dropout).double() for _ in range(JOBS)]
    inputs = torch.randn(7, 6) if shared else torch.randn(JOBS, 7, 6)
    inputs = inputs.double()
    expected = []
    for job, model in enumerate(models):
        torch.manual_seed(job)
        expected.append(model(inputs if shared else inputs[job]))
    gradients = [
        torch.autograd.grad(out.square().sum(), list(m.parameters())) for out, m in zip(expected, models, strict=True)
    ]
    stack = Stack(models, [torch.Generator().manual_seed(job) for job in range(JOBS)])
    assert chain(stack.template, stack.parameters) is not None
    found = stack(inputs, shared)
    close(found, torch.stack(expected))
    for own, theirs in zip(
        torch.autograd.grad(found.square().sum(), [*stack.parameters.values()]),
        zip(*gradients, strict=True),
        strict=True,
    ):
        close(own, torch.stack(theirs))


def test_other_models_are_left_to_vmap() -> None:
    for model in (MLP(6, 2, 5, "relu", norm="layer"), nn.Sequential(nn.Linear(6, 2))):
        assert chain(model, dict(model.named_parameters())) is None


def test_shared_batches_and_own_ones_lead_to_the_same() -> None:
    found = []
    for shared in (True, False):
        together = Together(made("tied"), "adam", (None,) * JOBS, MSE)
        together.step.shared = shared
        for inputs, targets in drawn(4):
            batch = (inputs, targets) if shared else (inputs.expand(3, 7, 5), targets.expand(3, 7, 5))
            together([batch])
        found.append([dict(model.state_dict()) for model in together.models])
    close(found[0], found[1])


@pytest.mark.parametrize("seeds", [(3, 3, 3), (0, 1, 0)], ids=["one seed", "seeds"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "last of one"])
def test_batches_of_jobs_with_samples_of_their_own_are_those_of_each(case: str, seeds: tuple[int, ...]) -> None:
    """Those of fewer samples are filled up with zeros, and say so."""
    facts = CASES[case]
    splits = [facts["split"].take(slice(1, None)), facts["split"], facts["split"].take(slice(1, None))]
    each = [Batches(device=CPU, seed=n, **facts | {"split": own}) for n, own in zip(seeds, splits, strict=True)]
    stacked = side_by_side(each)
    assert [*stacked.apart] == [batches.sizes for batches in each]
    for epoch, start in ((0, 0), (2, len(each[0]) - 1)):
        found = list(stacked.epoch(epoch, start))
        expected = [list(batches.epoch(epoch, start)) for batches in each]
        assert len(found) == len(each[0]) - start
        for number, (inputs, targets, padding) in enumerate(found):
            for job in range(len(seeds)):
                own, its = expected[job][number]
                assert inputs[job, : len(its)].equal(own)
                assert targets[job, : len(its)].equal(its)
                assert not inputs[job, len(its) :].any()
                real = padding.mask[job] if padding is not None else torch.ones(len(its))
                assert real.tolist() == [1] * len(its) + [0] * (targets.shape[1] - len(its))
        assert found[-1][2] is not None


@pytest.mark.parametrize("name", ["mse", "half_sse", "cross_entropy"])
def test_a_mask_leaves_samples_out_of_the_loss_of_each(name: str) -> None:
    torch.manual_seed(0)
    outputs, loss = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True), losses.make(name)
    targets = torch.randint(3, (2, 5)) if name == "cross_entropy" else torch.randn(2, 5, 3, dtype=torch.float64)
    mask = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.float64)
    found = loss.of_each(outputs, targets, training=True, mask=mask)
    expected = torch.stack(
        [loss.training_function(outputs[0], targets[0]), loss.function(outputs[1, :3], targets[1, :3])]
    )
    close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), outputs)
    assert not gradient[1, 3:].any()


# --- metrics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_figures_of_jobs_are_those_of_each(classes: int) -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(JOBS, 50, classes), torch.randint(classes, (50,))
    together = metrics.Classification(classes, CPU, JOBS)
    for part in (slice(0, 32), slice(32, 49), slice(49, 50)):
        together.update(outputs[:, part], targets[part])
    for job, found in enumerate(together.compute()):
        alone = metrics.Classification(classes, CPU)
        alone.update(outputs[job], targets)
        expected = alone.compute()[0]
        assert found.metrics == expected.metrics
        assert found.per_class == pytest.approx(expected.per_class, nan_ok=True)
        assert found.confusion is not None
        assert found.confusion.equal(expected.confusion)
        assert found.metrics["accuracy"] == pytest.approx(float((outputs[job].argmax(1) == targets).float().mean()))


@pytest.mark.parametrize("columns", [1, 3])
def test_errors_of_jobs_are_those_of_each(columns: int) -> None:
    torch.manual_seed(0)
    targets = torch.randn(50, columns)
    outputs = targets + torch.randn(JOBS, 50, columns) * torch.tensor([0.0, 0.5, 2.0])[:, None, None]
    together = metrics.Regression(columns, CPU, JOBS)
    for part in (slice(0, 32), slice(32, 49), slice(49, 50)):
        together.update(outputs[:, part], targets[part])
    for job, found in enumerate(together.compute()):
        alone = metrics.Regression(columns, CPU)
        alone.update(outputs[job], targets)
        assert found.metrics == pytest.approx(alone.compute()[0].metrics, rel=1e-6, abs=1e-12)
        assert found.metrics["mse"] == pytest.approx(float((outputs[job] - targets).square().mean()), rel=1e-5)


# --- captured -----------------------------------------------------------------------------------------


class Graphs(Pretend):
    """Those of stacked parameters; the losses are of all jobs."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters, self.failure = list(parameters), ""
        self.warmed = self.recorded = self.replayed = 0

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        replay, result = super().record(work)
        result.resize_(JOBS)
        return replay, result


def stepped(name: str, whole: bool, capture: bool) -> tuple[list[dict[str, Tensor]], Tensor, Graphs | None]:
    """What models have come to after steps with falling rates, some on smaller batches; and the losses."""
    together = Together([model.float() for model in made("linear")], name, (0.5, None, 1.0), MSE)
    step: Any = together.step
    graphs = None
    if capture:
        graphs = Graphs(together.step.parameters)
        step = CapturedStep(together.step, lambda raw: raw, whole, pytest.fail, graphs)
    found = []
    for number, (inputs, targets) in enumerate(drawn(14)):
        for job, optimizer in enumerate(together.own):
            optimizer.param_groups[0]["lr"] = 0.1 / (number + 1) / (job + 1)
        together.stacked.refill()
        rows = 3 if number % 5 == 4 else 7
        batch = (inputs[:rows].float(), targets[:rows].float(), None)
        found.append(step([batch]).clone())
    return [dict(model.state_dict()) for model in together.models], torch.stack(found), graphs


@pytest.mark.parametrize(
    ("name", "whole"), [("sgd", True), ("sgd", False), ("adamw", True), ("adam", False), ("adagrad", False)]
)
def test_captured_steps_follow_learning_rates_and_eager_ones_between(name: str, whole: bool) -> None:
    models, losses_of, graphs = stepped(name, whole, capture=True)
    expected, others, _ = stepped(name, whole, capture=False)
    close(models, expected, 1e-6)
    close(losses_of, others, 1e-6)
    assert graphs is not None
    assert graphs.recorded == 1
    assert graphs.replayed == 14 - 3 - 2


def test_the_update_of_stacked_parameters_is_captured_where_that_of_each_is() -> None:
    models = [model.float() for model in made("linear")]
    own: list[torch.optim.Optimizer] = [torch.optim.Adam(m.parameters(), capturable=True) for m in models]
    stack = Stack(models, [torch.Generator()] * JOBS)
    stacked = StackedOptimizer([*stack.trained.values()], own, [alike(o) for o in own], False)
    assert capturable(stacked.optimizer)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_a_graph_on_a_gpu_steps_stacked_models_as_eager_steps_do(name: str) -> None:
    device, found = torch.device("cuda"), []
    for capture in (True, False):
        models = [model.float().to(device) for model in made("norm")]
        own = []
        for job, model in enumerate(models):
            optimizer = OPTIMIZERS[name](list(model.parameters()), job)
            for group in optimizer.param_groups:
                group |= {"capturable": True} if "capturable" in group else {"fused": True}
            own.append(optimizer)
        together = Together(models, name, (0.5, None, 1.0), MSE, own)
        assert capturable(together.stacked.optimizer)
        step: Any = CapturedStep(together.step, lambda raw: raw, True, pytest.fail) if capture else together.step
        for number, (inputs, targets) in enumerate(drawn(14)):
            for job, optimizer in enumerate(own):
                optimizer.param_groups[0]["lr"] = 0.1 / (number + 1) / (job + 1)
            together.stacked.refill()
            rows = 3 if number % 5 == 4 else 7
            step([(inputs[:rows].float().to(device), targets[:rows].float().to(device), None)])
        found.append([{k: v.cpu() for k, v in model.state_dict().items()} for model in models])
    close(found[0], found[1], 1e-4)
