"""Mistakes: two lines at most, exit code 2, no traceback, and nothing left behind."""

import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pretending
import pytest
import torch
from composing import composed
from conftest import Ran, Trainer
from running import QUICK, SILENT

from trainer.system.errors import ConfigError, first_line

WEIGHTS = {"linear.weight": torch.zeros(10, 784), "linear.bias": torch.zeros(10)}
LINEAR = ("model=linear", "data=digits")


FILES = {
    "notes.txt": "this is no checkpoint\n" * 9,
    "empty.pt": "",
    "occupied": "a file, where a directory should be",
    "table.csv": "a,b,price\n" + "".join(f"{i},{i % 3},{i * 1.5}\n" for i in range(40)),
    "gaps.csv": "a,b,price\n1,2,3\n4,,6\n" + "".join(f"{i},{i + 1},{i + 2.5}\n" for i in range(40)),
    "ragged.csv": "a,b,price\n1,2,3\n4,5\n",
    "header.csv": "a,b,price\n",
    "configs/model/broken.yaml": "_target_: [\n",
    "configs/model/raises.yaml": "_target_: parts_that_fail.Raises\n",
    "configs/model/function.yaml": "_target_: parts_that_fail.no_module\n",
    "configs/model/shapeless.yaml": "_target_: parts_that_fail.Shapeless\n",
    "configs/model/absent.yaml": "_target_: no_such_module_anywhere.Net\n",
    "configs/model/misnamed.yaml": "_target_: parts_that_fail.Nett\n",
    "configs/model/nowhere.yaml": "_target_: Net\n",
    "configs/model/keys.yaml": "_target_: parts_that_fail.Keys\nwidth: 3\n",
    "configs/data/half.yaml": "_target_: parts_that_fail.Half\n",
    "configs/optim/none.yaml": "_target_: parts_that_fail.no_optimizer\n",
    "configs/scheduler/own.yaml": "_target_: parts_that_fail.Raises\n",
    "parts_that_fail.py": """
import torch

class Raises(torch.nn.Module):
    def __init__(self, **kwargs):
        raise ValueError("no such luck")

class Keys(torch.nn.Module):
    def __init__(self, height):
        super().__init__()

class Shapeless(torch.nn.Linear):
    def __init__(self):
        super().__init__(784, 3)

    def forward(self, x):
        return super().forward(x.flatten(1))

class Half:
    train = torch.zeros(4, 2), torch.zeros(4)

def no_module():
    return 3

def no_optimizer(parameters):
    return 3
""",
}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with files to make mistakes with."""
    top = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (top / "directory").mkdir()
    for split in ("train", "test"):
        for label in ("dark", "light"):
            (top / "unfilled" / split / label).mkdir(parents=True)
    torch.save(WEIGHTS, top / "good.pt")
    torch.save({"linear.weight": torch.zeros(10, 3), "linear.bias": torch.zeros(10)}, top / "shapes.pt")
    torch.save({"fc.weight": torch.zeros(10, 784), "fc.bias": torch.zeros(10)}, top / "keys.pt")
    torch.save({**WEIGHTS, "linear.bias": torch.full((10,), float("nan"))}, top / "nan.pt")
    torch.save([1, 2], top / "list.pt")
    torch.save(torch.nn.Linear(2, 2), top / "module.pt")
    damaged = bytearray((top / "good.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (top / "damaged.pt").write_bytes(damaged)
    (top / "short.pt").write_bytes(damaged[: len(damaged) // 2])
    return top


@pytest.fixture
def place(trainer: Trainer, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That directory, in a world without a network; what is made in it or imported from it is undone."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(furnished / "torch"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "parts_that_fail", None)
    monkeypatch.delitem(sys.modules, "parts_that_fail")
    monkeypatch.chdir(furnished)
    before = set(furnished.iterdir())
    yield furnished
    for left in set(furnished.iterdir()) - before:
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def assert_short(ran: Ran, *words: str) -> None:
    assert ran.code == 2, ran.err
    assert 1 <= len(ran.err.splitlines()) <= 2, ran.err
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.out + ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert not Path("runs").exists()


# Each mistake, and words that the two lines must have: what is wrong, where, and what to type instead.
MISTAKES: dict[str, tuple[str, ...]] = {
    # verbs and flags
    "trian": ("'trian'", "did you mean 'train'?"),
    "model=lenet": ("a verb comes first", "train"),
    "--nope": ("a verb comes first",),
    "train --nope": ("--nope", "trainer train --help"),
    "train --cfg": ("--cfg needs a value",),
    "train --cfg jobb": ("jobb",),
    "train --resolve": ("--resolve",),
    "train -m --cfg job": ("--cfg",),
    "train --config-dir nowhere": ("nowhere", "not found"),
    "train --config-name trian": ("trian",),
    "train epochs": ("KEY=VALUE", "epochs=VALUE"),
    "train lenet": ("KEY=VALUE", "model=lenet"),
    "eval good.pt": ("a bare state_dict", "model=..."),
    # choices of groups
    "train model=lenett": ("model=lenett", "did you mean 'lenet'?"),
    "train data=minst": ("data=minst", "did you mean 'mnist'?"),
    "train optim=sdg": ("optim=sdg", "did you mean 'sgd'?"),
    "train scheduler=cosin": ("scheduler=cosin", "did you mean 'cosine'?"),
    "train experiment=mnist_lent": ("experiment=mnist_lent", "did you mean 'mnist_lenet'?"),
    "train model=xyz": ("model=xyz", "choose from", "lenet5"),
    "train optim=5": ("optim=5",),
    "eval ckpt=good.pt model=linaer data=digits": ("did you mean 'linear'?",),
    "inspect data=digts": ("did you mean 'digits'?",),
    # keys
    "train epoch=3": ("epoch:", "did you mean 'epochs'?"),
    "train +epoch=3": ("epoch:", "did you mean 'epochs'?"),
    "train ++epoch=3": ("epoch:", "did you mean 'epochs'?"),
    "train optim.lrr=0.1": ("optim.lrr", "did you mean 'lr'?"),
    "train +optim.lrr=0.1": ("optim.lrr", "did you mean 'lr'?"),
    "train +unknown=1": ("unknown", "trainer train --help"),
    "train +optim.lr=0.1": ("optim.lr",),
    "train ~unknown": ("unknown",),
    "train ~model": ("model",),
    "train hydra.nope=1": ("nope",),
    "eval ckpt=good.pt epochs=3": ("epochs", "trainer eval --help"),
    # types
    "train epochs=three": ("epochs=three", "a whole number"),
    "train epochs=1,2": ("epochs=1,2",),
    "train optim.betas=0.9": ("optim.betas", "a list"),
    "train loss=a=b": ("loss=a=b",),
    # values out of range
    "train optim.lr=-1": ("optim.lr=-1", "above 0"),
    "train data.limit=1": ("data.val_fraction", "empty"),
    "train scheduler.warmup_steps=100000": ("scheduler.warmup_steps=100000", "steps"),
    "train scheduler=onecycle scheduler.warmup_steps=2": ("onecycle", "pct_start"),
    "train optim=sgd optim.nesterov=true": ("optim=sgd", "momentum"),
    # choices of values
    "train precision=float23": ("precision=float23", "did you mean 'float32'?"),
    "train objective=val/acuracy": ("objective=val/acuracy", "did you mean 'val/accuracy'?"),
    "train objective=val/accuracy data.val_fraction=0": ("objective=val/accuracy", "data.val_fraction"),
    "train early_stopping.patience=2 data.val_fraction=0": ("early_stopping", "data.val_fraction"),
    "eval ckpt=good.pt model=linear data=digits split=val data.val_fraction=0": ("validation set", "data.val_fraction"),
    # checkpoints
    "eval": ("ckpt= is missing", "trainer eval RUN"),
    "eval ckpt=": ("ckpt=",),
    "eval ckpt=null": ("ckpt=null",),
    "eval ckpt=god.pt": ("ckpt=god.pt", "no such file", "did you mean good.pt?"),
    "eval ckpt=far/away/run": ("far/away/run", "no such file"),
    "eval ckpt=directory": ("directory without a run", "runs/NAME"),
    "eval ckpt=notes.txt": ("notes.txt is not a checkpoint",),
    "eval ckpt=empty.pt": ("empty.pt is empty",),
    "eval ckpt=short.pt": ("short.pt",),
    "eval ckpt=damaged.pt": ("damaged.pt is damaged",),
    "eval ckpt=list.pt": ("list.pt is not a checkpoint", "list"),
    "eval ckpt=module.pt": ("module.pt", "state_dict"),
    "eval ckpt=good.pt": ("does not say its model", "model="),
    "eval ckpt=good.pt model=linear": ("does not say its data", "data="),
    "eval ckpt=shapes.pt model=linear data=digits": ("linear.weight is 10x3, expected 10x784",),
    "eval ckpt=keys.pt model=linear data=digits": ("linear.weight is missing", "fc.weight is not the model's"),
    "inspect ckpt=god.pt": ("ckpt=god.pt", "did you mean good.pt?"),
    # models and data that do not fit
    "train model=lenet data=diabetes": ("model=lenet needs images", "data=diabetes", "model=linear"),
    "inspect model=lenet data=diabetes": ("model=lenet needs images", "data=diabetes"),
    "train model=efficientnet_b0": ("model=efficientnet_b0: no such config", "model=torchvision model.arch="),
    "train model=torchvision data=digits": ("model.arch= is missing", "model.arch="),
    "train model=torchvision model.arch=efficientnet_b data=digits": (
        "efficientnet_b:",
        "did you mean 'efficientnet_b",
    ),
    "train model=timm model.arch=hf-hub:somebody/model data=digits": (
        "hf-hub:somebody/model: timm has no such network",
    ),
    "inspect model=timm model.arch=resnet18.mine data=digits": ("timm has no such weights", "did you mean 'resnet18."),
    "train model=torchvision model.arch=vit_b_16 data=digits": ("vit_b_16 fails on data=digits", "data.size=224"),
    "train model=lenet data.size=10": ("model.image_size=10", "at least 16"),
    "train data.num_classes=7": ("data.num_classes=7", "10"),
    "train loss=mse": ("loss=mse", "data=digits", "cross_entropy"),
    "train model=linear data=diabetes loss=cross_entropy": ("loss=cross_entropy", "data=diabetes", "mse"),
    "train model=linear data=diabetes label_smoothing=0.1": ("label_smoothing",),
    "train model=linear data=diabetes data.augment.flip=true": ("data.augment", "diabetes"),
    "eval ckpt=good.pt model=linear data=diabetes": ("linear.weight is 10x784, expected 1x10",),
    "inspect model=linear data=diabetes inspect.out=x.png": ("inspect.out", "table"),
    # devices and precision
    "train device=graphics": ("device=graphics", "choose from: auto, cpu, cuda, mps"),
    "train device=cuda:99": ("device=cuda:99", "available: cpu"),
    "train device=cpu:7": ("device=cpu:7", "available: cpu"),
    "train device=cpu precision=tf32": ("precision=tf32", "float32"),
    "eval ckpt=good.pt model=linear data=digits device=cudaa": ("device=cudaa", "did you mean 'cuda'?"),
    # files of data
    "train data=folder": ("data.path= is missing",),
    "train data=folder data.path=nowhere": ("data.path=nowhere", "no such folder"),
    "train data=folder data.path=directory": ("directory has no folder", "two classes"),
    "train data=folder data.path=unfilled": ("unfilled/train/dark has no images",),
    "train data=csv": ("data.path= is missing",),
    "train data=csv data.path=table.csv": ("data.target= is missing",),
    "train data=csv data.path=tabel.csv data.target=price": ("data.path=tabel.csv", "no such file"),
    "train data=csv data.path=table.csv data.target=prise": ("no column 'prise'", "did you mean 'price'?"),
    "train data=csv data.path=gaps.csv data.target=price data.strict=true": ("gaps.csv", "'b'", "data.strict=true"),
    "train data=csv data.path=ragged.csv data.target=price": ("ragged.csv", "row 3"),
    "train data=csv data.path=header.csv data.target=price": ("header.csv", "no rows"),
    "train data=csv data.path=directory data.target=price": ("directory",),
    "train data=mnist": ("data/MNIST", "cannot be downloaded", "data=digits", "data.root="),
    "train data=fashion_mnist data.root=elsewhere": ("elsewhere/FashionMNIST", "cannot be downloaded", "data=digits"),
    "train data=cifar10": ("data/cifar-10-batches-py", "cannot be downloaded", "data=digits"),
    "train data=mnist data.download=false": ("data/MNIST", "data.download=false", "data=digits"),
    "train data=mnist data.root=occupied": ("occupied", "data=digits"),
    # what cannot be written
    "train output=occupied": ("occupied", "output=DIR"),
    # interpolations that lead nowhere
    "train name=${nope:x}": ("name: Unsupported interpolation type nope",),
    "train name=${name}": ("name: ", "Recursive interpolation"),
    "train epochs=${oc.env:NO_SUCH_VARIABLE}": ("epochs: ", "NO_SUCH_VARIABLE"),
    "train seed=${optim.lr}": ("seed=auto", "a whole number"),
    "train seed=${optim.lrr}": ("seed: ", "optim.lrr"),
    "train tensorboard.every_steps=${nope}": ("tensorboard.every_steps: ", "nope"),
    "eval ckpt=${nope}": ("ckpt: ", "nope"),
    "train output=occupied/deeper": ("occupied", "output=DIR"),
    "train -m seed=0,1 output=occupied": ("occupied", "output=DIR"),
    "inspect inspect.out=no/such/folder/x.png": ("no/such/folder/x.png", "No such file"),
    "inspect inspect.out=x.unknown": ("x.unknown", "png"),
    # the user's own parts
    "train model=broken": ("broken.yaml", "line"),
    "train model=raises": ("parts_that_fail.Raises", "ValueError: no such luck", "HYDRA_FULL_ERROR=1"),
    "train model=function": ("parts_that_fail.no_module", "int", "torch.nn.Module"),
    "train model=shapeless": ("model=shapeless", "(3,)", "(10,)"),
    "train model=absent": ("no_such_module_anywhere.Net", "cannot be imported", "no_such_module_anywhere.py"),
    "train model=misnamed": ("parts_that_fail.Nett", "cannot be imported"),
    "train model=nowhere": ("model._target_=Net", "module.Class"),
    "train model=keys": ("parts_that_fail.Keys", "width"),
    "train data=half": ("half has no attribute 'test'",),
    "train optim=none": ("parts_that_fail.no_optimizer", "torch.optim.Optimizer"),
    "train scheduler=own": ("parts_that_fail.Raises", "ValueError: no such luck", "HYDRA_FULL_ERROR=1"),
    # a home that nobody has
    "eval ckpt=~nobody-of-that-name/run": ("~nobody-of-that-name/run",),
    "train data=folder data.path=~nobody-of-that-name/images": ("~nobody-of-that-name/images",),
    "train output=~nobody-of-that-name/runs": ("~nobody-of-that-name/runs",),
}


# The same of what the declarations refuse by themselves.
REFUSED: dict[str, tuple[str, ...]] = {
    # keys
    "train modle=lenet": ("modle", "did you mean 'model'?"),
    "train optim.momentum=0.9": ("optim.momentum", "optim=sgd, optim=rmsprop have it"),
    "train data.augment.flop=true": ("data.augment.flop", "did you mean 'flip'?"),
    "train early_stopping.patiense=3": ("early_stopping.patiense", "did you mean 'patience'?"),
    "inspect inspect.outt=x.png": ("inspect.outt", "did you mean 'out'?"),
    # types
    "train epochs=1.5": ("epochs=1.5", "a whole number"),
    "train epochs=null": ("epochs=null", "a whole number"),
    "train optim.lr=fast": ("optim.lr=fast", "a number"),
    "train plots=perhaps": ("plots=perhaps", "true or false"),
    "train data.batch_size=[1,2]": ("data.batch_size", "a whole number or null"),
    "train optim.betas=[0.9]": ("optim.betas",),
    "train optim.betas=[0.9,0.99,0.999]": ("optim.betas",),
    "train data.augment=true": ("data.augment", "section"),
    "train evaluate=test": ("evaluate", "section"),
    # values out of range
    "train optim.lr=0": ("optim.lr=0", "above 0"),
    "train optim.lr=nan": ("optim.lr=nan", "above 0"),
    "train optim.lr=inf": ("optim.lr=inf",),
    "train optim.weight_decay=-0.1": ("optim.weight_decay", "at least 0"),
    "train optim.betas=[0.9,1.5]": ("optim.betas", "below 1"),
    "train epochs=0": ("epochs=0", "at least 1"),
    "train max_steps=0": ("max_steps=0", "at least 1"),
    "train accumulate=0": ("accumulate=0", "at least 1"),
    "train clip_norm=0": ("clip_norm=0", "above 0"),
    "train seed=-1": ("seed=-1", "at least 0"),
    "train data.batch_size=0": ("data.batch_size=0", "at least 1"),
    "train data.val_fraction=1": ("data.val_fraction=1", "below 1"),
    "train data.limit=0": ("data.limit=0", "at least 1"),
    "train model.dropout=1": ("model.dropout=1", "below 1"),
    "train evaluate.every_steps=0": ("evaluate.every_steps=0", "at least 1"),
    "train early_stopping.patience=0": ("early_stopping.patience=0", "at least 1"),
    "train scheduler=step scheduler.gamma=0": ("scheduler.gamma=0", "above 0"),
    # choices of values
    "train loss=mes": ("loss=mes", "did you mean 'mse'?"),
    "train direction=up": ("direction=up", "choose from", "max"),
    "train evaluate.split=tests": ("evaluate.split=tests", "did you mean 'test'?"),
    "eval ckpt=good.pt model=linear data=digits split=vall": ("split=vall", "did you mean 'val'?"),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_the_declarations_refuse_they_say_in_two_lines(command: str) -> None:
    """Checked as the command line has it checked, which a dozen of the commands below show for each kind of mistake."""
    with pytest.raises(ConfigError) as caught:
        composed(*command.split())
    lines = f"{caught.value.message}\n{caught.value.hint}".splitlines()
    assert len(lines) <= 2
    for word in REFUSED[command]:
        assert word in "\n".join(lines)


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_gets_two_lines_and_leaves_nothing(trainer: Trainer, place: Path, command: str) -> None:
    before = sorted(place.rglob("*"))
    ran = trainer(*command.split())
    assert_short(ran, *MISTAKES[command])
    assert sorted(place.rglob("*")) == before


def test_weights_that_are_not_finite_are_evaluated_if_that_is_wanted(trainer: Trainer, place: Path) -> None:
    """A training that diverged is looked at, too."""
    plain = ("eval", "ckpt=nan.pt", "model=linear", "data=digits")
    assert_short(
        trainer(*plain), "nan.pt has weights that are not finite, first linear.bias", "eval.allow_nonfinite=true"
    )
    ran = trainer(*plain, "eval.allow_nonfinite=true")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1] == "warning: nan.pt has weights that are not finite, first linear.bias"


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
@pytest.mark.parametrize("verb", [("train",), ("eval", "ckpt=good.pt", *LINEAR)])
def test_cuda_without_cuda_says_what_is_available(trainer: Trainer, place: Path, verb: tuple[str, ...]) -> None:
    assert_short(trainer(*verb, "device=cuda"), "device=cuda", "available: cpu")


def test_default_weights_without_a_network(trainer: Trainer, place: Path, images: Path) -> None:
    args = ("data=folder", f"data.path={images}", "model=resnet18", "model.weights=DEFAULT")
    assert_short(trainer("train", *args), "cannot be downloaded", "no route to host", "model.weights=FILE")


def test_a_folder_of_another_kind_than_the_training(trainer: Trainer, images: Path) -> None:
    quick = ("data=folder", f"data.path={images}", "model=linear", "data.size=8", "epochs=1", *SILENT)
    assert trainer("train", *quick, "output=made").code == 0
    (run,) = Path("made/linear_folder").iterdir()
    for before, after in (("dark", "grey"), ("light", "pale")):
        (images / "train" / before).rename(images / "train" / after)
        (images / "test" / before).rename(images / "test" / after)
    assert_short(trainer("eval", f"ckpt={run}"), "grey, pale", "dark, light")


def test_a_full_error_shows_the_traceback(trainer: Trainer, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    ran = trainer("train", "model=raises")
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert "parts_that_fail.py" in ran.err
    assert ran.err.splitlines()[-2].startswith("error: ")


@pytest.mark.parametrize("setting", [None, "0"])
def test_the_environment_is_left_as_it_was(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    if setting is None:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    else:
        monkeypatch.setenv("HYDRA_FULL_ERROR", setting)
    trainer("train", "epoch=3")
    assert os.environ.get("HYDRA_FULL_ERROR") == setting


@pytest.mark.parametrize(
    "called",
    [
        *("sklearn.datasets.load_digits", "torch.nn.Linear.__init__", "torch.optim.Adam.__init__"),
        "torch.optim.lr_scheduler.ExponentialLR.__init__",
    ],
)
def test_a_bug_of_ours_is_not_hidden(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, called: str) -> None:
    """As if data, model, optimizer or schedule had one: what they call fails for a reason that is not the user's."""

    def bug(*args: Any, **kwargs: Any) -> NoReturn:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(called, bug)
    with pytest.raises(ZeroDivisionError, match="ours"):
        trainer("train", *QUICK, "data.cache=null", "scheduler=exponential")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("data.limit=100", "epochs=5", "max_steps=5", "scheduler=onecycle", "scheduler.pct_start=0.2"), "no way up"),
        (("evaluate.split=test", "early_stopping.patience=2"), "early_stopping would choose by the test split"),
        (("hydra.mode=MULTIRUN",), "a sweep is asked for with -m"),
    ],
)
def test_what_could_not_work_is_refused_before_training(trainer: Trainer, args: tuple[str, ...], words: str) -> None:
    ran = trainer("train", "model=linear", *args)
    assert (ran.code, len(ran.err.splitlines())) == (2, 2)
    assert words in ran.err
    assert not Path("runs").exists()


def test_a_last_batch_of_one_sample_is_refused_where_it_is_wanted(trainer: Trainer, images: Path) -> None:
    folder = ("data=folder", f"data.path={images}", "data.val_fraction=0", "data.batch_size=23", "data.drop_last=false")
    ran = trainer("train", "model=resnet18", *folder)
    assert ran.code == 2
    assert "the last batch has one sample" in ran.err


def test_a_run_that_fails_while_it_starts_says_so(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        if path.name == "config.yaml":
            raise KeyboardInterrupt

    pretending.watching(monkeypatch, fail)
    assert trainer("train", "model=linear").code == 130
    (result,) = Path("runs").rglob("result.json")
    assert '"status": "interrupted"' in result.read_text()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  \n  one \ntwo"), "one"),
        (NotImplementedError(), "NotImplementedError"),
        (ValueError("   \n"), "ValueError"),
    ],
    ids=repr,
)
def test_the_first_line_of_an_error_says_something(error: Exception, line: str) -> None:
    assert first_line(error) == line
