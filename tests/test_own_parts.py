"""Losses, metrics, schedules, augmentations and hooks of the user's own, from an empty directory."""

import json
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import Trainer
from resuming import go_on, interrupting
from running import QUICK, SILENT, checkpoint, evaluate, reported, result, rows, train, weights

from trainer.commands import new
from trainer.config import custom, named
from trainer.config.base import Custom
from trainer.config.data import Augment
from trainer.config.scheduler import OwnSchedule
from trainer.data.own_augment import OwnAugmenter
from trainer.data.splits import Dataset, Split
from trainer.engine import measures, own, own_schedule
from trainer.engine.device import Compute
from trainer.run.hooks.own import OwnHook, Watched
from trainer.system.errors import ConfigError, TrainingFailedError

CODE = """
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Halved(nn.Module):
    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, outputs, targets):
        return self.share * F.cross_entropy(outputs, targets)


def agreement(outputs, targets):
    return (outputs.argmax(1) == targets).double().mean()


class Errors:
    def __init__(self, scale: float) -> None:
        self.scale, self.wrong, self.all = scale, 0, 0

    def update(self, outputs, targets):
        self.wrong += int((outputs.argmax(1) != targets).sum())
        self.all += len(targets)

    def compute(self):
        return self.scale * self.wrong / self.all


def falling(progress, floor=0.0):
    return floor + (1 - floor) * (1 - progress)


def noisy(images):
    assert images.shape[1] == 1
    shift = torch.randint(2, (len(images), 1, 1, 1)) + int(np.random.randint(2)) + random.randint(0, 1)
    return (images + shift.to(images.dtype)).to(images.dtype)


class Counts:
    def __init__(self, training, stop=None):
        self.training, self.stop, self.steps, self.told = training, stop, 0, []

    def on_start(self, state):
        self.told.append(self.training.directory.name)

    def on_step(self, state):
        self.steps += 1
        if self.steps == self.stop:
            state.stop = "counted"

    def on_epoch(self, state, row):
        row["train/counted"] = torch.tensor(float(self.steps), requires_grad=True)

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, kept):
        self.steps = kept["steps"]
"""

YAML = {
    "loss/halved": "_target_: own_code.Halved\nshare: 0.5\n",
    "loss/torchs": "_target_: torch.nn.CrossEntropyLoss\nreduction: mean\n",
    "metric/agreement": "_target_: own_code.agreement\npercent: true\n",
    "metric/errors": "_target_: own_code.Errors\nscale: 1.0\ndirection: min\nlabel: mistakes\n",
    "scheduler/falling": "_target_: own_code.falling\nfloor: 0.0\n",
    "scheduler/torchs": "_target_: torch.optim.lr_scheduler.StepLR\nstep_size: 1\ngamma: 0.5\n",
    "augment/noisy": "_target_: own_code.noisy\n",
    "hook/counts": "_target_: own_code.Counts\nstop: null\n",
}


@pytest.fixture(autouse=True)
def files(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's files in the current directory; what is imported from there is forgotten."""
    Path("own_code.py").write_text(CODE)
    for name, text in YAML.items():
        path = Path("configs", f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Mine.\n{text}")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if getattr(sys.modules[name], "__file__", None) and str(empty) in str(sys.modules[name].__file__):
            del sys.modules[name]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- loss ---


def test_a_loss_of_torch_by_its_name_trains_to_the_bit_as_ours(trainer: Trainer) -> None:
    ours, own = train(trainer, *QUICK, "loss=cross_entropy"), train(trainer, *QUICK, "loss=torchs")
    assert same(weights(ours), weights(own))
    assert reported(ours) == reported(own)


def test_evaluating_uses_the_loss_and_the_metrics_of_the_training_again(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "loss=halved", "metrics=errors", "loss.share=0.25", "metric.errors.scale=3")
    assert evaluate(trainer, str(run))["test/loss"] == reported(run)["test/loss"]
    assert evaluate(trainer, str(run))["test/errors"] == reported(run)["test/errors"] == 3 * wrong(run)
    own = json.loads(checkpoint(run)["description"])["own"]
    assert own["metric.errors"] == {"scale": 3, "class": "own_code.Errors"}
    Path("configs/loss/halved.yaml").rename("configs/loss/other.yaml")
    Path("configs/metric/errors.yaml").write_text("_target_: own_code.agreement\n")  # it is another one now
    ran = trainer("eval", str(run))
    assert ran.code == 0, ran.err
    assert "loss=halved is not in ./configs here" in ran.out
    assert "metric=errors is not in ./configs here" in ran.out
    assert evaluate(trainer, str(run))["test/loss"] == pytest.approx(4 * reported(run)["test/loss"])


def wrong(run: Path) -> float:
    return 1 - reported(run)["test/accuracy"]


# --- metric ---


def test_a_metric_of_ones_own_is_in_every_row_and_can_be_the_objective(trainer: Trainer) -> None:
    asked = ("metrics=[f1,agreement,errors]", "objective=val/errors", "until=val/agreement>2", "epochs=2")
    run = train(trainer, *QUICK, *asked)
    for row in rows(run):
        assert row["val/agreement"] == row["val/accuracy"] == pytest.approx(1 - row["val/errors"])
        assert "val/f1" in row
    assert result(run)["objective"] == {
        "name": "val/errors", "direction": "min", "value": min(row["val/errors"] for row in rows(run)),
    }  # fmt: skip
    assert reported(run)["test/errors"] == pytest.approx(wrong(run))
    assert measures.label("val/errors") == "validation mistakes"
    assert measures.label("val/agreement") == "validation agreement (%)"


def test_the_names_of_metrics_that_no_other_can_have_are_all_that_there_are() -> None:
    assert set(named.OURS["metric"]) == set(measures.MEASURES)


# --- schedule ---


def test_a_function_of_the_progress_is_what_the_rate_is_multiplied_by(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "scheduler=falling", "optim=sgd", "optim.lr=0.5", "epochs=4", "data.batch_size=30")
    assert [row["lr"] for row in rows(run)] == pytest.approx([0.375, 0.25, 0.125, 0.5 / 12])
    ran = trainer("resume", str(run), "epochs=8")
    assert ran.code == 2
    assert "laid out over 12 steps, and this training has 24" in ran.err


def test_a_class_of_torchs_schedules_trains_to_the_bit_as_ours(trainer: Trainer) -> None:
    asked = (*QUICK, "epochs=3", "data.batch_size=50")
    ours = train(trainer, *asked, "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5")
    own = train(trainer, *asked, "scheduler=torchs")
    assert same(weights(ours), weights(own))
    assert [row["lr"] for row in rows(ours)] == [row["lr"] for row in rows(own)]
    steps = train(trainer, *asked, "scheduler=torchs", "scheduler.per=step", "scheduler.warmup_steps=1")
    assert rows(steps)[0]["lr"] < rows(own)[0]["lr"]


# --- augmentation ---


def images(count: int = 6) -> torch.Tensor:
    return torch.arange(count * 16, dtype=torch.uint8).reshape(count, 4, 4, 1)


def augmenter(target: str, per: str = "auto", **kwargs: Any) -> OwnAugmenter:
    return OwnAugmenter(Augment("mine"), 4, 4, Custom(target, kwargs, named.Augmenting(per)))


def test_an_augmentation_of_ones_own_draws_by_the_place_of_the_batch_and_disturbs_nobody() -> None:
    made = augmenter("own_code.noisy")
    drawn = made.draw(6, torch.Generator().manual_seed(3))
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = made.apply(images(), drawn)
    torch.rand(5), random.random(), np.random.rand(3)
    assert torch.equal(made.apply(images(), drawn), first)
    torch.set_rng_state(states[0]), random.setstate(states[1])
    made.apply(images(), drawn)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert not torch.equal(made.apply(images(), made.draw(6, torch.Generator().manual_seed(4))), first)


@pytest.mark.slow
def test_a_transform_of_torchvisions_draws_for_each_image() -> None:
    made = augmenter("torchvision.transforms.v2.RandomHorizontalFlip", p=0.5)
    changed = made.apply(images(64), made.draw(64, torch.Generator().manual_seed(0)))
    mirrored = [torch.equal(new, old.flip(1)) for new, old in zip(changed, images(64), strict=True)]
    assert 15 < sum(mirrored) < 49
    assert all(m or torch.equal(n, o) for m, n, o in zip(mirrored, changed, images(64), strict=True))
    whole = augmenter("torchvision.transforms.v2.RandomHorizontalFlip", per="batch", p=1.0)
    assert torch.equal(whole.apply(images(), whole.draw(6, torch.Generator())), images().flip(2))


# --- hook ---


def test_a_hook_of_ones_own_hears_of_the_training_adds_to_its_rows_and_stops_it(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "hooks=counts", "hook.counts.stop=3", "epochs=5", "data.batch_size=45")
    assert [row["train/counted"] for row in rows(run)] == [2.0]
    assert result(run)["stopped"] == "counted"
    assert result(run)["steps"] == 3
    assert checkpoint(run)["hook.counts"] == {"steps": 3}


# --- all of them ---

ALL = (
    *SILENT, "model=linear", "data.limit=100", "data.batch_size=20", "epochs=3", "loss=halved",
    "metrics=[agreement]", "scheduler=falling", "data.augment=noisy", "hooks=counts", "objective=val/agreement",
)  # fmt: skip


def test_a_training_with_parts_of_ones_own_is_resumed_to_the_bit(trainer: Trainer) -> None:
    whole = train(trainer, *ALL, "name=whole")
    with interrupting(lambda state: state.step == 7):
        assert trainer("train", *ALL, "name=cut").code == 128 + signal.SIGINT
    (cut,) = Path("runs/cut").iterdir()
    assert go_on(trainer, cut, 128 + signal.SIGINT) == [0]
    assert same(weights(whole), weights(cut))
    assert checkpoint(cut)["hook.counts"] == {"steps": 15}
    figures = [[row[name] for name in ("train/loss", "val/agreement", "lr", "train/counted")] for row in rows(whole)]
    assert [
        [row[name] for name in ("train/loss", "val/agreement", "lr", "train/counted")] for row in rows(cut)
    ] == figures


def test_a_run_names_no_code_that_the_users_configs_do_not_name(trainer: Trainer) -> None:
    with interrupting(lambda state: state.step == 2):
        trainer("train", *ALL, "name=cut")
    (cut,) = Path("runs/cut").iterdir()
    written = (cut / "config.yaml").read_text()
    for kind, key in (
        ("loss", "loss"),
        ("scheduler", "scheduler"),
        ("hook", "hook.counts"),
        ("augment", "augment.noisy"),
    ):
        config = section = yaml.safe_load(written)
        for part in key.split("."):
            section = section[part]
        section["_target_"] = "os.getcwd"
        (cut / "config.yaml").write_text(yaml.safe_dump(config))
        ran = trainer("resume", str(cut))
        assert ran.code == 2
        assert f"a {kind} of somebody's own, os.getcwd, and a file names no code to run" in ran.err
        assert f"{key}._target_=os.getcwd" in ran.err


def test_a_whole_config_in_a_file_has_parts_of_ones_own_and_names_no_other_code(trainer: Trainer) -> None:
    section = {"metric": {"agreement": {"_target_": "own_code.agreement"}}, "metrics": ["agreement"]}
    Path("mine.yaml").write_text(yaml.safe_dump(section))
    assert "val/agreement" in rows(train(trainer, "--config", "mine.yaml", *QUICK))[0]
    section["metric"]["agreement"]["_target_"] = "os.getcwd"
    Path("mine.yaml").write_text(yaml.safe_dump(section))
    ran = trainer("train", "--config", "mine.yaml", *QUICK)
    assert ran.code == 2
    assert "metric.agreement._target_=os.getcwd names code, and a file names no code to run" in ran.err


def test_other_weights_begin_without_an_augmentation_that_nobody_has_named_again(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "data.augment=noisy", "data.augment.flip=true")
    ran = trainer("train", f"from={run}", *SILENT, "epochs=1", "name=next", "data.augment.flip=false")
    assert ran.code == 0, ran.err
    assert "type data.augment=noisy for it" in ran.err
    (made,) = Path("runs/next").iterdir()
    found = yaml.safe_load((made / "config.yaml").read_text())["data"]["augment"]
    assert (found["preset"], found["flip"]) == ("none", False)


# --- mistakes ---

CLASSES = Dataset(
    "sample",
    train=Split(torch.zeros(8, 4), torch.arange(8) % 3),
    test=Split(torch.zeros(4, 4), torch.arange(4) % 3),
    classes=("a", "b", "c"),
)
CPU = Compute(torch.device("cpu"), "float32")
WRONG = """
import torch
from torch import nn

def vector(outputs, targets): return nn.functional.cross_entropy(outputs, targets, reduction="none")
def number(outputs, targets): return 1.0
def constant(outputs, targets): return outputs.detach().sum()
def fails(*given): raise KeyError("missing")
def rising(progress): return -progress
def text(progress): return "fast"
def cut(images): return images[..., 1:]
def floats(images): return images / 255
def table(outputs, targets): return {"a": 1}
def none(outputs, targets): return float("nan")
class Learns(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
class Nothing:
    def __init__(self, *given): pass
class Misspelt(Nothing):
    def on_epoch_end(self, state, row): pass
class Short(Nothing):
    def on_epoch(self, state): pass
class Half(Nothing):
    def on_step(self, state): pass
    def state_dict(self): return {}
class Objects(Half):
    def state_dict(self): return {"a": object()}
    def load_state_dict(self, kept): pass
"""


def loss(target: str) -> object:
    return own.make_loss(Custom(target, {}), "mine", CLASSES, CPU)


def metric(target: str) -> object:
    return own.OwnMetric("mine", Custom(target, {}, named.Metric()), CLASSES, "test", CPU)


def schedule(target: str) -> object:
    made = own_schedule.planned(Custom(target, {}, OwnSchedule("mine")), "mine")
    return made.make(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1), 10, "min")


def hook(target: str) -> object:
    model = torch.nn.Linear(1, 1)
    return OwnHook("mine", Custom(target, {}), Watched(model, torch.optim.SGD(model.parameters(), 0.1), print))


def augment(target: str) -> object:
    return augmenter(target).check(images())


@pytest.mark.parametrize(
    ("make", "target", "said"),
    [
        (loss, "wrong.vector", "gives a tensor of shape (8,), and a loss is one number per batch"),
        (loss, "wrong.number", "gives a float, not a tensor"),
        (loss, "wrong.constant", "has no gradient"),
        (loss, "wrong.fails", "fails on outputs and targets of shapes (8, 3) and (8,): KeyError: 'missing'"),
        (loss, "wrong.Learns", "has parameters of its own, which no optimizer moves"),
        (loss, "wrong.Nothing", "cannot be called"),
        (loss, "wrong.Absent", "cannot be imported: AttributeError"),
        (loss, "absent.Loss", "cannot be imported: ModuleNotFoundError"),
        (metric, "wrong.vector", "gives a tensor of shape (4,), and a metric is one number"),
        (metric, "wrong.table", "gives a dict, and a metric is one number"),
        (metric, "wrong.fails", "fails: KeyError: 'missing'"),
        (metric, "wrong.Nothing", "cannot be called"),
        (schedule, "wrong.rising", "gives -0.5 at progress 0.5"),
        (schedule, "wrong.text", "gives 'fast' at progress 0.0"),
        (schedule, "wrong.fails", "fails at progress 0.0: KeyError"),
        (schedule, "torch.optim.lr_scheduler.StepLR", "does not build: TypeError"),
        (augment, "wrong.cut", "gives (6, 1, 4, 3), torch.uint8 for images of shape (6, 1, 4, 4)"),
        (augment, "wrong.floats", "gives (6, 1, 4, 4), torch.float32 for images"),
        (augment, "wrong.fails", "fails on images of shape (6, 1, 4, 4)"),
        (hook, "wrong.Nothing", "has no method of a hook"),
        (hook, "wrong.Misspelt", "has a method on_epoch_end, which is never called"),
        (hook, "wrong.Short", "on_epoch has other arguments"),
        (hook, "wrong.Half", "has state_dict, and no load_state_dict"),
        (hook, "wrong.Objects", "gives more than a dictionary of tensors"),
    ],
)
def test_a_mistake_in_a_part_of_ones_own_is_said_before_anything_is_trained(make: Any, target: str, said: str) -> None:
    Path("wrong.py").write_text(WRONG)
    with pytest.raises(ConfigError) as caught:
        make(target)
    assert said in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_metric_that_is_no_number_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.py").write_text(WRONG)
    made: Any = metric("wrong.none")
    for _ in range(2):
        made.begin()
        made.update(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
        assert np.isnan(made.compute())
    assert capsys.readouterr().err.count("is nan") == 1


def test_what_fails_in_a_part_of_ones_own_ends_a_training_with_a_line() -> None:
    with pytest.raises(TrainingFailedError, match=r"mine fails: ZeroDivisionError"):
        custom.guarded("mine", lambda: 1 / 0)()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("metrics=[f2]",), "metrics=f2: no such metric"),
        (("metrics=../x",), "metrics=../x: not a name"),
        (("hooks=count",), "did you mean 'counts'?"),
        (("data.augment=noise",), "did you mean 'noisy'?"),
        (("loss=halved", "loss.shar=1"), "loss._target_=own_code.Halved does not build: TypeError"),
        (("metrics=agreement", "metric.agreement.k=1"), "metric.agreement.k: own_code.agreement has no such argument"),
        (("metric=f1",), "did you mean metrics=f1?"),
        (("hook=counts",), "did you mean hooks=counts?"),
        (("augment=noisy",), "did you mean data.augment=noisy?"),
        (("hook.counts.stop=1",), "nothing names hook.counts"),
        (("loss=focal",), "or write your own: trainer new loss focal"),
        (("loss=halved", "label_smoothing=0.1"), "label_smoothing goes with cross-entropy, not with loss=halved"),
        (("metrics=mae",), "metrics=mae: this run has no such metric"),
    ],
)
def test_a_name_or_a_key_that_is_not_there_is_said(trainer: Trainer, words: tuple[str, ...], said: str) -> None:
    ran = trainer("train", *QUICK, *words)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 2
    assert not Path("runs").exists()


# --- sweeps ---


@pytest.mark.slow
def test_jobs_with_a_loss_of_ones_own_are_not_stacked_and_those_with_a_schedule_are(trainer: Trainer) -> None:
    asked = ("train", "-m", *QUICK, "optim=sgd", "optim.lr=0.1,0.2", "sweep=batched")
    alone, together = trainer(*asked, "loss=halved"), trainer(*asked, "scheduler=falling")
    assert alone.code == together.code == 0
    assert "job 0 runs by itself: the loss is your own, which is made for one model" in alone.out
    assert "2 jobs as one program" in together.out
    apart = trainer("train", "-m", *QUICK, "seed=0,1", "metrics=errors", "sweep=auto").out
    assert "2 jobs as one program" not in apart
    assert "jobs run side by side: a metric is your own, which is made for one model" in apart


@pytest.mark.slow
def test_a_sweep_goes_through_parts_and_keys_of_ones_own(trainer: Trainer) -> None:
    ran = trainer(
        "train",
        "-m",
        *QUICK,
        "loss=halved,cross_entropy",
        "metrics=errors",
        "metric.errors.scale=1,2",
        "hooks=[],[counts]",
    )
    assert ran.code == 0, ran.err
    assert "8 jobs" in ran.out


# --- templates ---


def trains(trainer: Trainer, kind: str) -> Path:
    """Train with a part made by `trainer new`, as it says."""
    ran = trainer("new", kind, f"my_{kind}")
    assert ran.code == 0, ran.err
    command = ran.out.splitlines()[-1].split("trainer train ")[1].split()
    return train(trainer, *command, *SILENT, "epochs=1", "data.limit=200")


def test_a_loss_from_the_template_trains_at_once(trainer: Trainer) -> None:
    run = trains(trainer, "loss")
    assert "_target_: my_loss.MyLoss" in (run / "config.yaml").read_text()
    before = Path("my_loss.py").read_text()
    ran = trainer("new", "loss", "my_loss")
    assert ran.code == 2
    assert "my_loss.py is there already, and is not overwritten" in ran.err
    assert Path("my_loss.py").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(new.TRAINS))
def test_each_template_trains_at_once(trainer: Trainer, kind: str) -> None:
    run = trains(trainer, kind)
    assert result(run)["status"] == "completed"
    again = [f"{kind}=my_{kind}"] if kind in ("model", "data") else []
    assert trainer("eval", str(run), *again).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loss", "mse"), "'mse' is a loss of trainer's own"),
        (("metric", "f1"), "'f1' is a metric of trainer's own"),
        (("augment", "light"), "'light' is an augmentation of trainer's own"),
        (("model", "class"), "'class' cannot be the name of a module"),
        (("model", "my-net"), "'my-net' cannot be the name of a module"),
        (("model", "random"), "'random' is the name of a module that Python has already"),
        (("model", "torch"), "'torch' is the name of a module that Python has already"),
        (("modl", "net"), "did you mean 'model'?"),
        (("model",), "a kind and one name"),
    ],
)
def test_a_name_that_a_new_part_cannot_have_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        new.run(new.New(part=[*words]))
    assert said in f"{caught.value.message}\n{caught.value.hint}"
    assert not any(Path().glob("*net*"))


# --- networks of libraries ---


@pytest.mark.slow
def test_a_network_of_torchvision_is_a_model_by_its_name(trainer: Trainer, images: Path) -> None:
    Path("configs/model").mkdir()
    Path("configs/model/resnet50.yaml").write_text(
        "_target_: torchvision.models.resnet50\nnum_classes: ${data.num_classes}\n"
    )
    run = train(
        trainer, *SILENT, "model=resnet50", "data=folder", f"data.path={images}", "data.batch_size=8", "epochs=1"
    )
    assert weights(run)["fc.weight"].shape == (2, 2048)
    assert evaluate(trainer, str(run), "model=resnet50") == reported(run)
