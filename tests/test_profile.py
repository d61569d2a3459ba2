"""`trainer profile`: its parts add up to what a clock of its own says, and a change is called faster only if it is."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pretending
import pytest
import torch
from composing import composed
from conftest import Trainer
from running import SILENT
from test_captured import Pretend

from trainer.data.placing import ON_DEVICE, Placing
from trainer.engine.loop import Hook
from trainer.engine.state import Row, State
from trainer.engine.steps.captured import CapturedStep, RawBatches
from trainer.engine.steps.eager import EagerStep
from trainer.profiling import candidates, kernels, session, together, trying, watching
from trainer.profiling.candidates import Candidate, Seen
from trainer.profiling.clock import Clock
from trainer.profiling.session import Measured, Session
from trainer.profiling.startup import Listening
from trainer.profiling.trying import Tried
from trainer.run.training import Training
from trainer.show.flops import Counter
from trainer.system.errors import TrainingFailedError
from trainer.system.paths import quoted

DIGITS = (*SILENT, "data.limit=200", "data.batch_size=16")  # 180 to train, in 12 steps, and 20 to validate
SMALL = (*DIGITS, "model=mlp", "model.hidden=[8]")
QUICK = ("profile.seconds=0.02", "profile.steps=2")


class Time:
    """A clock that stands still but for what is done by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float, result: Any = None) -> Any:
        self.now += seconds
        return result


@contextmanager
def opened(here: Path, *words: str, like: tuple[str, ...] = SMALL) -> Iterator[Training]:
    """A training as a profile opens it."""
    config: Any = composed("train", *like, *words)
    session.bare(config)
    with session.opened(config, Listening(), here) as training:
        try:
            yield training
        finally:
            training.close({"status": "interrupted"})


def spending(time: Time, seconds: float, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: time.spend(seconds, call(*args))


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps warm a training up, and three epochs are trained: that is not left to the clock."""
    monkeypatch.setattr(session, "WARM_SECONDS", 0.0)
    monkeypatch.setattr(session, "ENOUGH", 0.0)


def test_each_part_of_an_epoch_gets_the_time_that_is_spent_in_it(empty: Path) -> None:
    clock = Time()
    with opened(empty, "data.eval_batch_size=5") as training:
        parts, watched = training.parts, Session(training, limit=60.0)
        watched.clock = Clock(now=clock)
        step: Any = parts.step
        step.update = spending(clock, 7.0, step.update)
        source: Any = parts.train.source
        source.samples = spending(clock, 2.0, source.samples)
        parts.model.register_forward_hook(lambda *_: clock.spend(3.0))
        next(parts.model.parameters()).register_hook(lambda _: clock.spend(5.0))

        class Slow(Hook):
            def on_step(self, state: State) -> None:
                clock.spend(11.0)

            def on_epoch(self, state: State, row: Row) -> None:
                clock.spend(13.0)

        training.hooks.append(Slow())
        measured = watched.run()
    steps, evaluations = 12, 4
    spent = {part: seconds for part, seconds in measured.parts.items() if seconds}
    assert spent == {
        "data/gathering": 2.0 * steps,
        "forward": 3.0 * steps,
        "backward": 5.0 * steps,
        "optimizer": 7.0 * steps,
        "hooks/Slow": 11.0 * steps + 13.0,
        "evaluation/forward, loss and metrics": 3.0 * evaluations,
    }
    assert measured.seconds == sum(spent.values())
    assert measured.plain == [measured.seconds] * len(measured.plain)


def test_the_parts_add_up_to_what_another_clock_says_of_the_epoch(empty: Path) -> None:
    ends: list[float] = []

    class Oracle(Hook):
        """The last that is told of an epoch, and the first that knows of the next one."""

        def on_start(self, state: State) -> None:
            ends.append(time.perf_counter())

        def on_step(self, state: State) -> None:
            time.sleep(0.002)

        def on_epoch(self, state: State, row: Row) -> None:
            ends.append(time.perf_counter())

    with opened(empty) as training:
        training.hooks.append(Oracle())
        measured = Session(training, limit=60.0).run()
    walls = [after - before for before, after in pairwise(ends)]
    for watched, wall in zip(measured.watched, walls[1::2], strict=True):
        assert watched == pytest.approx(wall, rel=0.05)
    assert sum(measured.parts.values()) == pytest.approx(sum(walls[1::2]) / len(measured.watched), rel=0.05)


def test_a_training_is_the_same_watched_or_not(empty: Path) -> None:
    with opened(empty, "data.augment.mixup=0.4") as training:
        parts, clock, replaced = training.parts, Clock(), watching.Replaced()
        before = dict(vars(parts.step))
        plain = list(parts.batches.epoch(3))
        clock.start()
        batches = watching.watched_batches(parts.train, parts.batches, clock)
        watched = list(batches.epoch(3))
        step = watching.watch_step(parts.step, clock, replaced)
        loss = step(watched[:1])
        replaced.put_back()
        for one, other in zip(plain, watched, strict=True):
            assert all(map(torch.equal, one, other))
        assert vars(parts.step) == before
        outputs, targets = parts.model(plain[0][0]), plain[0][1]
        assert loss.shape == parts.step.loss.training_function(outputs, targets).shape
    assert list(empty.glob(".training-*")) == []


def test_a_long_epoch_and_a_long_evaluation_are_cut_short_and_reckoned(empty: Path) -> None:
    with opened(empty, "data.eval_batch_size=5", "epochs=10") as training:
        measured = Session(training, limit=1e-6).run()
    assert (measured.steps, measured.of_steps) == (1, 12)
    assert (measured.evaluated, measured.of_evaluated) == (5, 20)
    hooks = measured.of("hooks")
    assert measured.whole == pytest.approx(12 * (measured.training + hooks) + 4 * measured.of("evaluation"))


@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_a_gpu_is_waited_for_in_a_sample_of_steps_and_the_time_of_all_is_divided_as_that_is(cost: float) -> None:
    now = Time()
    queue = [0.0]  # seconds of work that the device has still to do

    def wait() -> None:
        now.spend(cost + queue[0])
        queue[0] = 0.0

    clock = Clock(now=now, wait=wait)
    clock.start()
    for number in range(10):
        clock.sample(number == 0)
        clock.to("forward")
        queue[0] += 3.0
        clock.to("backward")
        queue[0] += 6.0
        clock.to("rest")
        clock.to("hooks/Log")
        now.spend(1.0)
        clock.to("rest")
    whole, parts = clock.stop(), clock.parts()
    assert whole == 10 * 10.0 if not cost else whole > 10 * 10.0
    assert sum(parts.values()) == pytest.approx(whole)
    assert parts["hooks/Log"] == 10.0
    assert parts["backward"] == pytest.approx(2 * parts["forward"])
    assert parts["rest"] == 0.0


def test_a_captured_step_is_a_whole_and_is_told_apart_as_it_is_without_the_graph(empty: Path) -> None:
    with opened(empty) as training:
        parts, eager = training.parts, training.parts.step
        assert isinstance(eager, EagerStep)
        parts.step = CapturedStep(eager, parts.train.inputs, True, print, Pretend(parts.model))
        parts.batches = RawBatches(parts.train)
        watched = Session(training, limit=60.0)
        measured, apart = watched.run(), watched.without_graph()
    assert {part for part in measured.parts if part.startswith("data/")} == {"data/reading"}
    assert measured.of("step") > 0
    assert measured.of("forward") == measured.of("backward") == measured.of("optimizer") == 0
    assert apart.keys() >= {"data", "forward", "backward", "optimizer"}


def test_operations_are_those_that_torch_counts_forward_and_backward(empty: Path) -> None:
    with opened(empty, like=DIGITS) as training:
        parts, clock = training.parts, Clock()
        (batch,) = [next(parts.batches.epoch(0))]
        with Counter() as counter:
            parts.step.loss.training_function(parts.model(batch[0]), batch[1]).backward()
        trace = empty / "trace.json.gz"
        found = kernels.recorded(parts.step, parts.batches, 1, clock, 2, trace, None)
    assert sum(operator.flops for operator in found.operators) == counter.get_total_flops()
    assert all(operator.calls for operator in found.operators)


def seen(measured: dict[str, float], **given: Any) -> Seen:
    """What a profile of an epoch with these parts has shown."""
    parts: Any = SimpleNamespace(
        config=SimpleNamespace(
            on_nan="stop",
            samples=SimpleNamespace(placement="auto"),
            device="cpu",
            given=lambda group: True,
            written=lambda group: {"name": "mlp"},
        ),
        compute=SimpleNamespace(device=torch.device("cpu"), precision="float64"),
        data=SimpleNamespace(train=None, val=None, test=None),
        plan=SimpleNamespace(epochs=10, evaluate_epochs=1),
        train=SimpleNamespace(batch_size=32, total=32 * 1000),
        evaluator=SimpleNamespace(placing=ON_DEVICE),
        compiled="off",
    )
    for name, value in given.items():
        setattr(parts, name, value)
    total = sum(measured.values())
    found = Measured(measured, total, [total], [total], 1000, 1000, 1, 1, [], 0.0, 0.0)
    product = kernels.Operator("mm", "", 1.0, 1.0, 1e9, True)
    return Seen(parts, found, kernels.Kernels([product], 1.0, None, 1))


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.cores(monkeypatch, 2)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("measured", "given", "words"),
    [
        ({"data/reading": 5.0, "forward": 5.0}, {"evaluator": SimpleNamespace(placing=Placing(0))}, "data.workers=1"),
        ({"data/reading": 5.0, "forward": 5.0}, {"evaluator": SimpleNamespace(placing=Placing(1))}, "data.workers=2"),
        ({"forward": 5.0, "evaluation/data": 5.0}, {}, "evaluate.every_epochs=10"),
        ({"forward": 5.0, "optimizer": 15.0}, {}, "data.batch_size=128"),
        ({"forward": 900.0, "backward": 1000.0}, {}, "OMP_NUM_THREADS=2"),
    ],
)
def test_what_is_seen_decides_what_is_tried(measured: dict[str, float], given: dict[str, Any], words: str) -> None:
    assert candidates.found(seen(measured, **given))[0].words == words


@pytest.mark.usefixtures("two_cores")
def test_a_small_convolutional_net_is_tried_on_two_ranks() -> None:
    shown = seen({"forward": 500.0, "backward": 500.0})
    shown.parts.config.written = lambda group: {"name": "lenet"}
    assert "devices=2" in [candidate.words for candidate in candidates.found(shown)]


@pytest.mark.usefixtures("two_cores")
def test_nothing_is_tried_where_nothing_could_be_gained() -> None:
    busy = seen({"forward": 500.0, "backward": 500.0})
    busy.parts.compute.device = torch.device("mps")
    assert candidates.found(busy) == []


def test_a_change_is_called_faster_only_if_no_round_says_otherwise() -> None:
    change = Candidate("compile=inductor", "", "", 0.1)
    assert Tried(change, [1.2, 1.3, 1.1]).gains
    assert not Tried(change, [1.2, 1.3, 0.99]).gains
    assert not Tried(change, [1.01, 1.02, 1.01]).gains
    assert not Tried(change, failed="there is no compiler").gains


def test_a_change_is_tried_by_turns_and_leaves_no_trace(empty: Path) -> None:
    with opened(empty) as training:
        shown = Seen(training.parts, Session(training, 0.02).run(), kernels.Kernels([], 1.0, None, 1))
        threads, weights = torch.get_num_threads(), next(training.parts.model.parameters())
        for change in (
            Candidate("data.batch_size=64", "", "", 0.1, {"data.batch_size": 64}),
            Candidate("data.workers=0", "", "", 0.1, {"data.placement": "stream", "data.workers": 0}),
            Candidate("OMP_NUM_THREADS=2", "", "", 0.1, threads=2),
            Candidate("evaluate.every_epochs=2", "", "", 0.1, rarer=2),
        ):
            tried = trying.attempt(shown, change, 0.001)
            assert not tried.failed
            assert tried.epoch > 0
            assert tried.times > 0
        failing = Candidate("compile=cudagraph", "", "", 0.1, {"compile": "cudagraph"})
        assert trying.attempt(shown, failing).failed.startswith("compile=cudagraph needs an NVIDIA GPU")
        assert torch.get_num_threads() == threads
        assert next(training.parts.model.parameters()) is weights
        assert training.parts.config.samples.batch_size == 16


def test_the_command_shows_a_profile_and_leaves_it_in_a_folder(trainer: Trainer, empty: Path) -> None:
    (empty / "here").mkdir()
    (empty / "here" / "profile.json").write_text("of an earlier profile")
    ran = trainer("profile", *SMALL, *QUICK, "profile.tries=1", "profile.out=here")
    assert ran.code == 0, ran.err
    for line in (
        "before the second step",
        "where an epoch's time goes: ",
        "operators that take longest",
        "suggestion: ",
    ):
        assert line in ran.out
    assert sorted(path.name for path in (empty / "here").iterdir()) == ["profile.json", "profile.png", "trace.json.gz"]
    assert not (empty / "runs").exists()
    kept = json.loads((empty / "here" / "profile.json").read_text())
    assert sum(kept["parts"].values()) == pytest.approx(kept["seconds"], rel=0.05)
    assert kept["command"] == " ".join(["trainer train", *map(quoted, SMALL)])


def test_a_profile_is_of_one_process(trainer: Trainer) -> None:
    ran = trainer("profile", *SMALL, "devices=2")
    assert ran.code == 2
    assert "devices=2: a profile is of one process" in ran.err


@pytest.mark.slow
def test_two_ranks_are_tried_by_the_command_that_is_suggested(empty: Path) -> None:
    found = list(together.speeds([*DIGITS, "epochs=2"], 2, steps=10))
    assert len(found) == 2
    assert all(speed > 0 for pair in found for speed in pair)
    with pytest.raises(TrainingFailedError, match=r"optim\.lr"):
        next(together.speeds([*DIGITS, "optim.lr=-1"], 2, steps=10))


def test_a_folder_with_other_files_is_no_place_for_a_profile(trainer: Trainer, empty: Path) -> None:
    (empty / "mine").mkdir()
    (empty / "mine" / "thesis.tex").touch()
    ran = trainer("profile", *SMALL, "profile.out=mine")
    assert ran.code == 2
    assert "the folder holds other files (thesis.tex)" in ran.err


def test_what_would_end_a_profile_is_left_out(empty: Path) -> None:
    ends = ("until='val/accuracy>0'", "max_minutes=1e-9", "early_stopping.patience=1", "max_steps=2")
    with opened(empty, *ends) as training:
        measured = Session(training, limit=60.0).run()
    assert (measured.steps, len(measured.watched), len(measured.plain)) == (2, 1, 2)


def test_a_training_that_diverges_has_no_profile(trainer: Trainer) -> None:
    ran = trainer("profile", *SMALL, *QUICK, "optim=sgd", "optim.lr=1e30")
    assert ran.code == 1
    assert "is not finite" in ran.err
    assert "resume" not in ran.err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compiled", ["off", "cudagraph"])
def test_on_a_gpu_the_parts_add_up_and_its_idle_share_is_one(trainer: Trainer, empty: Path, compiled: str) -> None:
    words = (*DIGITS, "data.batch_size=4", "device=cuda", f"compile={compiled}", "epochs=100")
    ran = trainer("profile", *words, "profile.seconds=1", "profile.out=here")
    assert ran.code == 0, ran.err
    assert "GPU idle" in ran.out
    kept = json.loads((empty / "here" / "profile.json").read_text())
    assert sum(kept["parts"].values()) == pytest.approx(kept["seconds"], rel=1e-6)
    assert 0 < kept["gpu_busy_in_a_step"] < kept["seconds"]
    assert 0 <= kept["gpu_idle"] < 1
    of_eager_steps = {"forward", "backward", "optimizer"}
    if compiled == "off":
        assert of_eager_steps <= kept["parts"].keys()
        assert any(operator["flops"] > 0 for operator in kept["operators"])
    else:
        assert "step" in kept["parts"]
        assert of_eager_steps <= kept["step_without_graph"].keys()
        assert any(operator["product"] for operator in kept["operators"])
