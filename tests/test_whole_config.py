"""`trainer config > my.yaml` and `trainer train --config my.yaml`: the same config, and no more than a file may say."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Trainer
from running import QUICK, rows, same, train, weights

from trainer.cli import arguments, main
from trainer.config import composition

OWN = {
    "configs/loss/mine.yaml": "_target_: own.Loss\nmargin: 0.5\n",
    "configs/metric/ours.yaml": "_target_: own.metric\nbeta: 1\n",
    "configs/hook/watching.yaml": "_target_: own.Hook\n",
    "configs/model/mynet.yaml": "_target_: own.Net\nclasses: ${data.num_classes}\nwidth: 4\n",
    "configs/data/mine.yaml": "defaults:\n  - /Data@_here_\n  - _self_\n_target_: own.Data\nbatch_size: 7\n",
}


def composed(*words: str) -> dict[str, Any]:
    """The checked config of `trainer train WORDS...` as plain values."""
    with composition.ready():
        values: dict[str, Any] = main.configured(arguments.read("train", words)).composed()
        return values


@pytest.fixture
def own(empty: Path) -> Path:
    for name, text in OWN.items():
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text(text)
    return empty


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("", marks=pytest.mark.slow),
        "model=mlp model.hidden=[64,32] optim=sgd optim.lr=1e-3 scheduler=onecycle loss=cross_entropy",
        "experiment=mnist_lenet seed=3 until='val/accuracy>0.99' name='a: b # c' early_stopping.patience=5",
        pytest.param(
            "experiment=small_folder data.path='my photos' data.augment=strong data.mean=[0.1,0.2,0.3]",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "model=resnet18 data=cifar10 data.limit=1_000 optim.backbone_lr=1e-05 compile=off", marks=pytest.mark.slow
        ),
        "model=mlp data=table data.path=houses.csv data.target=-1 data.drop=['a, b',c] data.val_fraction=auto",
        "metrics=[f1,ours] metric.ours.beta=2 loss=mine hooks=[watching]",
        "model=mynet data=mine model.width=8 data.val_fraction=0.25 search=optuna sweep=parallel",
    ],
)
def test_what_config_writes_is_the_same_training(own: Path, trainer: Trainer, words: str) -> None:
    ran = trainer("config", *shlex.split(words))
    assert (ran.code, ran.err) == (0, "")
    Path("my.yaml").write_text(ran.out)
    asked = composed(*[word for word in shlex.split(words) if not word.startswith("search")])
    again = composed("--config", "my.yaml", *(["search=none"] if "search" in words else []))
    assert again == asked
    assert [list(section) for section in again.values() if isinstance(section, dict)]
    said = [line for line in ran.out.splitlines() if "#" in line]
    assert any("seed of weights, batch order" in line for line in said)  # each key has its meaning beside it
    assert max(map(len, ran.out.splitlines()[1:])) <= 120


def test_what_is_typed_goes_before_the_file(empty: Path) -> None:
    Path("my.yaml").write_text("model: mlp\nepochs: 3\noptim: {name: sgd, momentum: 0.5}\ndata: {limit: 100}\n")
    asked = composed("model=mlp", "epochs=3", "optim=sgd", "optim.momentum=0.5", "data.limit=100")
    assert composed("--config=my.yaml") == asked  # a part of a config is one, too
    assert composed("my.yaml") == asked
    changed = composed("--config", "my.yaml", "epochs=4", "optim=adam", "data.limit=null")
    assert changed == composed("model=mlp", "epochs=4", "optim=adam")
    assert composed("--config", "my.yaml", "optim.lr=0.5")["optim"]["lr"] == 0.5


@pytest.mark.slow
def test_the_same_training_gives_the_same_weights_alone_and_in_a_sweep(trainer: Trainer) -> None:
    words = (*QUICK, "optim.lr=0.02", "seed=3")
    Path("my.yaml").write_text(trainer("config", *words).out)
    plain, again = train(trainer, *words), train(trainer, "--config", "my.yaml")
    assert same(weights(again), weights(plain))
    ran = trainer("train", "-m", "--config", "my.yaml", "seed=3,4")
    assert ran.code == 0, ran.err
    assert "trainer train --config=my.yaml" in ran.out  # which trains the best again
    (sweep,) = Path("runs/sweeps/sweep").iterdir()
    assert same(weights(sweep / "0"), weights(plain))
    assert len(rows(sweep / "1")) == 1
    ran = trainer("resume", str(sweep))  # a file of the sweep does not say which others are read
    assert ran.code == 2
    assert f"trainer resume {sweep} --config=my.yaml" in ran.err
    assert trainer("resume", str(sweep), "--config=my.yaml").code == 0


REFUSED = {
    "model: {_target_: os.system, command: x}": ("names no code to run", "model._target_=os.system"),
    "metrics: [x]\nmetric: {x: {_target_: os.system}}": ("metric.x._target_=os.system", "names code"),
    "metric: 5": ("metric has no sections",),
    "hook: {x: 1}": ("hook has no sections",),
    "hooks: [x]": ("hooks=x: no such hook",),
    "loss: {_target_: os.system}": ("loss._target_=os.system", "names code"),
    "name: ${oc.env:HOME}": ("has an expression", "name="),
    "optim: {name: sgd, lr: '${oc.env:SECRET}'}": ("has an expression", "optim.lr"),
    "tracking: {name: mlflow, uri: http://elsewhere}": ("tracking.uri=http://elsewhere", "leads out of the training"),
    "model: {name: torchvision, arch: resnet18, weights: DEFAULT}": ("model.weights=DEFAULT", "type it, too"),
    "sweep: {name: slurm, setup: [rm -rf x]}": ("sweep.setup", "leads out"),
    "output: /somewhere": ("output=/somewhere", "leads out of the current folder"),
    "output: ../up": ("output=../up",),
    "from: /etc/passwd": ("from=/etc/passwd",),
    "hydra: {run: {dir: /tmp}}": ("hydra: no such key",),
    "defaults: [/etc/passwd]": ("chooses configs by its defaults",),
    "model: ../../x": ("model=../../x: no such config",),
    "model: [1, 2]": ("neither a choice nor a section",),
    "model: {name: ../x}": ("trainer has no such model",),
    "model: {name: [mlp]}": ("trainer has no such model",),
    "lr: 0.1": ("lr: no such key", "'optim.lr'"),
    "optim: {lrr: 0.1}": ("optim.lrr: no such key",),
    "epochs: many": ("epochs=many: wrong type",),
    "a: &a [1]\nb: *a": ("aliases",),
    "[1, 2]": ("is no config",),
    "just words": ("just words: no such key",),
    "a: [": ("cannot be read",),
    "? [1]\n: 2": ("--config my.yaml",),
    "1: 2": ("no such key",),
}


@pytest.mark.parametrize("content", REFUSED)
def test_a_file_says_no_more_than_plain_values(trainer: Trainer, content: str) -> None:
    Path("my.yaml").write_text(f"{content}\n")
    ran = (
        trainer("train", "--config", "my.yaml", "epochs=1") if "epochs" not in content else trainer("train", "my.yaml")
    )
    assert ran.code == 2, ran.err
    said = [line for line in ran.err.splitlines() if not line.startswith("note: ")]
    assert len(said) <= 2
    for word in REFUSED[content]:
        assert word in ran.err, ran.err
    assert not Path("runs").exists()


def test_what_the_user_names_is_taken(own: Path, empty: Path) -> None:
    Path("my.yaml").write_text("model: {_target_: own.Net, classes: 10}\ndata: {name: mnist, cache: /tmp/theirs}\n")
    config = composed("--config", "my.yaml")  # for configs/model/mynet.yaml names the class
    assert (config["model"]["_target_"], config["model"]["classes"]) == ("own.Net", 10)
    assert config["data"]["cache"] != "/tmp/theirs"
    (own / "configs" / "model" / "mynet.yaml").unlink()
    assert composed("--config", "my.yaml", "model._target_=own.Net")["model"]["_target_"] == "own.Net"


def test_a_file_of_no_kind_is_not_waited_for(trainer: Trainer) -> None:
    os.mkfifo("pipe.yaml")
    assert "cannot be read" in trainer("train", "--config", "pipe.yaml").err
    Path("long.yaml").write_text("# " + "x" * 2**19)
    assert "longer than" in trainer("train", "--config", "long.yaml").err
    for words in (("experiment=mnist_lenet",), ("--config-name", "train")):
        assert trainer("train", "--config", "long.yaml", *words).code == 2
    assert "goes with train" in trainer("eval", "RUN", "--config", "long.yaml").err


@pytest.mark.slow
def test_a_runs_own_config_trains_it_again(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "seed=5")
    again = train(trainer, "--config", str(run / "config.yaml"))
    assert same(weights(again), weights(run))
    assert yaml.safe_load((again / "config.yaml").read_text()) == yaml.safe_load((run / "config.yaml").read_text())
