"""The command line: help, Hydra's flags, completion, and awkward paths."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Trainer
from running import QUICK, SILENT, evaluate, reported, train

from trainer import __version__
from trainer.config import registry

WITHOUT_TORCH = """
import os, sys
from trainer.cli.main import main
os.environ["COMP_LINE"] = "trainer train model=mlp model."
for words in ([], ["--version"], ["-sc", "query=bash"], ["completion", "bash"]):  # these are asked for often
    main(words)
    assert not {"omegaconf", "hydra", "rich", "numpy"} & set(sys.modules), words
for words in ([], ["--help"], ["--version"], ["train", "--help"], ["eval", "--help"], ["inspect", "--help"],
              ["train", "--cfg", "job"], ["train", "epoch=3"], ["-sc", "query=bash"]):
    os.environ["COMP_LINE"] = "trainer train model="
    main(words)
    assert "torch" not in sys.modules, words
"""


@pytest.fixture(autouse=True)
def hydras_logging_undone() -> Iterator[None]:
    """`--info` and `--hydra-help` make the process log at debug level; a process runs one command only, tests many."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def subprocess_of(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_verb(trainer: Trainer, words: tuple[str, ...]) -> None:
    ran = trainer(*words)
    assert ran.code == 0
    assert ran.err == ""
    for verb in registry.verbs():
        assert f"  {verb}" in ran.out
        assert registry.command(verb).SUMMARY in " ".join(ran.out.split())


@pytest.mark.parametrize("verb", registry.verbs())
def test_help_of_a_verb_lists_its_choices_and_keys(trainer: Trainer, verb: str) -> None:
    ran = trainer(verb, "--help")
    assert ran.code == 0
    assert len(ran.out.splitlines()) < 150
    choices = ("model=", "lenet5", "data=", "fashion_mnist")
    if verb == "resume":  # chooses nothing anew, and says what may change
        assert not any(choice in ran.out for choice in choices)
        choices = ("RUN", "epochs", "device", "checkpoint.every_minutes", "tensorboard.enabled", "data.root")
        assert not any(f" {key}" in ran.out for key in ("seed", "optim.lr", "accumulate", "model.hidden"))
    if verb == "reproduce":
        choices = ("RUN", "epochs", "device", "name", "output")
    if verb in ("cache", "new", "runs"):  # need neither
        choices = {
            "cache": ("folder=", "clear="), "new": ("KIND NAME", "scheduler"), "runs": ("[RUN ...]", "runs.where="),
        }[verb]  # fmt: skip
    for choice in choices:
        assert choice in ran.out
    composed = yaml.safe_load(trainer(verb, "--cfg", "job").out)
    for key in set(composed) - {"model", "data", "optim", "scheduler"}:
        assert f" {key}" in ran.out


def test_help_shows_the_users_own_choices(trainer: Trainer, empty: Path) -> None:
    own = empty / "configs" / "model"
    own.mkdir(parents=True)
    (own / "mynet.yaml").write_text("_target_: mynet.Net\n")
    assert "mynet" in trainer("train", "--help").out


def test_version(trainer: Trainer) -> None:
    ran = trainer("--version")
    assert (ran.code, ran.out) == (0, f"trainer {__version__}\n")


def test_help_completion_and_mistakes_never_import_torch(empty: Path) -> None:
    ran = subprocess_of(sys.executable, "-c", WITHOUT_TORCH)
    assert ran.returncode == 0, ran.stderr


def test_python_m_trainer_is_the_same_program(trainer: Trainer) -> None:
    here = trainer("train", "model=lenett")
    ran = subprocess_of(sys.executable, "-m", "trainer", "train", "model=lenett")
    assert (ran.returncode, ran.stdout, ran.stderr) == (here.code, here.out, here.err)
    assert subprocess_of(sys.executable, "-m", "trainer", "--help").stdout == trainer("--help").out


# --- Hydra's flags ------------------------------------------------------------------------------------


def test_cfg_job_shows_the_composed_config_and_starts_nothing(trainer: Trainer) -> None:
    ran = trainer("train", "model=mlp", "optim.lr=0.5", "--cfg", "job")
    config = yaml.safe_load(ran.out)
    assert ran.code == 0
    assert config["model"]["name"] == "mlp"
    assert config["optim"]["lr"] == 0.5
    assert config["model"]["in_features"] == "${data.features}"
    assert not Path("runs").exists()


def test_resolve_follows_interpolations(trainer: Trainer) -> None:
    config = yaml.safe_load(trainer("train", "data=cifar10", "--cfg", "job", "--resolve").out)
    own = {key: value for key, value in config["model"].items() if not key.startswith("init")}
    assert own == {"name": "lenet", "in_channels": 3, "image_size": 32, "num_classes": 10, "dropout": 0.5}


def test_cfg_of_eval_needs_no_checkpoint(trainer: Trainer) -> None:
    ran = trainer("eval", "--cfg", "job")
    assert ran.code == 0
    assert yaml.safe_load(ran.out)["split"] == "auto"


def test_info_shows_the_defaults_tree(trainer: Trainer) -> None:
    ran = trainer("train", "experiment=mnist_lenet", "--info", "defaults-tree")
    assert ran.code == 0
    for choice in ("experiment: mnist_lenet", "model: lenet", "data: mnist", "optim: sgd"):
        assert choice in ran.out


def test_hydra_help_is_hydras(trainer: Trainer) -> None:
    ran = trainer("train", "--hydra-help")
    assert ran.code == 0
    assert "--multirun" in ran.out


def test_config_dir_adds_choices(trainer: Trainer, empty: Path) -> None:
    folder = empty / "more" / "optim"
    folder.mkdir(parents=True)
    (folder / "heavy.yaml").write_text("# Heavy.\ndefaults:\n  - /SGD@_here_\n  - _self_\nmomentum: 0.99\n")
    ran = trainer("train", "--config-dir", "more", "optim=heavy", "--cfg", "job")
    assert ran.code == 0, ran.err
    assert yaml.safe_load(ran.out)["optim"]["momentum"] == 0.99


def test_configs_of_the_current_directory_go_before_ours(trainer: Trainer, empty: Path) -> None:
    folder = empty / "configs" / "optim"
    folder.mkdir(parents=True)
    (folder / "adam.yaml").write_text("# Mine.\ndefaults:\n  - /Adam@_here_\n  - _self_\nlr: 0.125\n")
    assert yaml.safe_load(trainer("train", "optim=adam", "--cfg", "job").out)["optim"]["lr"] == 0.125


# --- searches and sweeps ---------------------------------------------------------------------------------


SEARCHING = "# @package _global_\n# A search.\ndefaults:\n  - override /search: optuna\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search=optuna"], "goes with -m"),
        (["search=optuna", "optim.lr=interval(0.1,0.2)"], "goes with -m"),
        (["++search.name=optuna"], "goes with -m"),
        (["experiment=searching"], "goes with -m"),
        (["-m", "experiment=searching,line"], "another search"),
        (["-m", "search=none,optuna", "seed=1,2"], "search=none,optuna"),
        (["-m", "sweep=serial,parallel", "seed=1,2"], "sweep=serial,parallel"),
        (["-m", "sweep=parallel", "sweep.jobs=1,2", "seed=1,2"], "sweep.jobs=1,2"),
        (["-m", "search._target_=mine.Search", "seed=1,2"], "search"),
        (["search._target_=mine.Search"], "search"),
        (["sweep._target_=mine.Sweep"], "sweep"),
        (["scheduler._target_=mine.Scheduler"], "scheduler"),
    ],
    ids=" ".join,
)
def test_how_jobs_are_found_and_run_is_never_left_aside_in_silence(
    trainer: Trainer, empty: Path, words: list[str], said: str
) -> None:
    (empty / "configs" / "experiment").mkdir(parents=True)
    (empty / "configs" / "experiment" / "searching.yaml").write_text(SEARCHING)
    ran = trainer("train", *words, *QUICK)
    assert ran.code == 2, ran.err
    assert len(ran.err.splitlines()) <= 2
    assert said in ran.err
    assert not Path("runs").exists()


# --- the screen and the shell -------------------------------------------------------------------------


def test_a_pipe_gets_plain_lines(trainer: Trainer) -> None:
    line = ("model=linear", "data=line", "epochs=2", *SILENT)
    for args in (
        ("train", *line),
        ("inspect", *line[:2]),
        ("train", "-m", "seed=0,1", *line),
        ("train", "modle=lenet"),
    ):
        ran = trainer(*args)
        assert "\x1b" not in ran.out + ran.err
        assert "\r" not in ran.out + ran.err


def test_the_last_lines_say_where_the_run_is_and_what_comes_next(trainer: Trainer) -> None:
    ran = trainer("train", *QUICK)
    (run,) = Path("runs/linear_digits").iterdir()
    lines = ran.out.splitlines()
    assert f"  run     {run}" in lines
    assert f"  report  {run}/report.html" in lines
    assert f"  trainer eval {run}" in lines[lines.index("next") :]


@pytest.mark.parametrize(
    "name",
    [
        "two words.pt",
        "lr=0.1.pt",
        "a,b.pt",
        "best (1).pt",
        "модель-étoile-星.pt",
        "it's.pt",
        '"quoted".pt',
        "[1] {a: b}.pt",
        "{a}.pt",
        "100%#$HOME.pt",
        "back\\slash.pt",
        "trailing\\",
        "~tilde: colon.pt",
    ],
)
def test_a_checkpoint_may_have_any_path(trainer: Trainer, name: str) -> None:
    with open(name, "wb") as file:  # torch would refuse to make some of these files by itself
        torch.save({"linear.weight": torch.ones(1, 1), "linear.bias": torch.zeros(1)}, file)
    ran = trainer("eval", f"ckpt={name}", "model=linear", "data=line")
    assert ran.code == 0, ran.err
    assert f"  {name} " in ran.out


def test_a_run_directory_may_have_any_path(trainer: Trainer) -> None:
    output = "my runs, été (1) a=b"
    run = train(trainer, *QUICK, f"output={output}")
    assert run.is_relative_to(output)
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
