"""`trainer resume` and `trainer train from=`: what they refuse, what may change, and what they leave behind."""

import dataclasses
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pretending
import pytest
import resuming
import torch
import yaml
from conftest import Ran, Trainer
from omegaconf import OmegaConf
from running import SILENT, checkpoint, result, rows, same, train, weights

from trainer.cli.main import main
from trainer.config import registry
from trainer.config.keys import public
from trainer.config.loss import FittingLoss
from trainer.config.model import MLP
from trainer.config.optim import Adam
from trainer.config.reopening import reopened
from trainer.config.scheduler import Constant
from trainer.config.train import Train
from trainer.data.sets.digits import Digits
from trainer.run import directory as runs
from trainer.run import records
from trainer.system.errors import ConfigError

# Digits: 90 to train, 3 steps in an epoch.
ASKED = (*SILENT, "model=mlp", "data=digits", "data.size=8", "data.limit=100", "data.batch_size=32", "epochs=3")
LONG = (*ASKED[:-1], "epochs=5")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run that was interrupted after step 5 of 9, and the same one uninterrupted."""
    top = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        patch.setenv("TRAINER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        assert main(["train", *ASKED, "output=whole"]) == 0
        with resuming.interrupting(lambda state: state.step == 5):
            assert main(["train", *ASKED, "output=parts"]) == 130
    return {name: next((top / name / "mlp_digits").iterdir()) for name in ("whole", "parts")}


@pytest.fixture
def parts(made: dict[str, Path], empty: Path) -> Path:
    """The interrupted run, to do with as one likes."""
    return shutil.copytree(made["parts"], empty / "run").relative_to(empty)


@pytest.fixture
def whole(made: dict[str, Path], empty: Path) -> Path:
    """The finished run."""
    return shutil.copytree(made["whole"], empty / "whole").relative_to(empty)


def files(top: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def refused(trainer: Trainer, *args: str, words: tuple[str, ...]) -> Ran:
    """Exit code 2, an error and a hint, and not a byte changed."""
    before = files(Path())
    ran = trainer(*args)
    assert ran.code == 2, ran.err
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) <= 2, ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert files(Path()) == before
    return ran


def change(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit a YAML file in place."""
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))


def damage(path: Path) -> None:
    """As a disk does: some bytes in the middle are others."""
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content) // 2):
        content[place] ^= 1
    path.write_bytes(content)


# --- keys that may not change -------------------------------------------------------------------------

OTHER = {
    "name": "other", "output": "elsewhere", "from": "x.pt", "seed": "1", "precision": "float64", "accumulate": "2",
    "clip_norm": "1.0", "loss.name": "mse", "loss.class_weight": "balanced",
    "label_smoothing": "0.1", "objective": "val/loss", "direction": "min",
    "evaluate.split": "test", "evaluate.every_epochs": "2", "evaluate.every_steps": "1",
    "early_stopping.min_delta": "0.1", "hooks": "[watch]", "sync_batchnorm": "false", "data.window": "0.5",
    "model.name": "linear", "model.in_features": "65", "model.out_features": "11", "model.hidden": "63",
    "model.activation": "tanh", "model.norm": "layer", "model.dropout": "0.1", "model.skip": "true",
    "model.init": "xavier", "model.init_gain": "2.0", "model.init_bias": "1.0",
    "data.name": "line", "data.batch_size": "16", "data.val_fraction": "0.2", "data.split_seed": "1",
    "data.limit": "90", "data.augment.flip": "true", "data.augment.crop": "1", "data.augment.shift": "1",
    "data.augment.cutout": "1", "data.augment.preset": "light", "data.augment.rotate": "5", "data.augment.zoom": "0.1",
    "data.augment.jitter": "0.1", "data.augment.trivial": "true", "data.augment.erase": "0.1",
    "data.augment.mixup": "0.2", "data.augment.cutmix": "1.0", "data.folds": "5", "data.fold": "1", "ema": "0.99",
    "data.drop_last": "true", "data.sampler": "balanced",
    "data.features": "65", "data.outputs": "11",
    "data.num_classes": "11",
    "data.channels": "2", "data.size": "9",
    "optim.name": "sgd", "optim.lr": "0.5", "optim.weight_decay": "0.1", "optim.betas": "[0.8,0.9]",
    "optim.eps": "0.1", "optim.amsgrad": "true", "optim.backbone_lr": "0.1", "optim.decay_norm_bias": "false",
    "scheduler.name": "step", "scheduler.warmup_steps": "1",
}  # fmt: skip


def keys(cls: type, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """The keys of a section with whether they may change."""
    for field in dataclasses.fields(cls):
        if field.name in registry.GROUPS:
            continue
        if dataclasses.is_dataclass(field.type):
            assert isinstance(field.type, type)
            yield from keys(field.type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{public(field.name)}", field.metadata["runtime"]


SECTIONS = {"": Train, "model.": MLP, "data.": Digits, "optim.": Adam, "loss.": FittingLoss}
KEYS = dict(entry for prefix, cls in (*SECTIONS.items(), ("scheduler.", Constant)) for entry in keys(cls, prefix))


def test_the_keys_that_are_tried_are_all_that_may_not_change() -> None:
    assert set(OTHER) == {key for key, runtime in KEYS.items() if not runtime}


@pytest.mark.parametrize("key", OTHER)
def test_a_key_of_the_steps_before_is_refused_with_both_values(parts: Path, key: str) -> None:
    typed = [f"run={parts}", f"{key}={OTHER[key]}"]
    Path("configs/hook").mkdir(parents=True)
    Path("configs/hook/watch.yaml").write_text("_target_: nowhere.Watch\n")
    with pytest.raises(ConfigError) as caught:
        reopened("resume", OmegaConf.from_dotlist(typed), typed)
    assert caught.value.message.startswith(f"{key}=")
    assert "the steps so far were trained with" in caught.value.message
    assert caught.value.hint == f"start a new run from its weights: trainer train from={parts} {key}=..."


def test_a_key_that_may_not_change_ends_the_command_before_anything_is_touched(trainer: Trainer, parts: Path) -> None:
    words = (
        "optim.lr=0.5: the steps so far were trained with optim.lr=0.001, and a run with both would be neither",
        f"trainer train from={parts} optim.lr=...",
    )
    refused(trainer, "resume", str(parts), "optim.lr=0.5", words=words)


def test_a_key_that_is_typed_as_it_was_is_accepted(trainer: Trainer, parts: Path, whole: Path) -> None:
    assert trainer("resume", str(parts), "optim.lr=1e-3", "seed=0", "data.augment.preset=none", "name=null").code == 0
    assert resuming.differences(whole, parts) == []


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("model=lenet",), ("model=lenet: a training continues with what it was started with", "from=RUN")),
        (("data=mnist",), ("data=mnist", "from=RUN")),
        (("optim=sgd",), ("optim=sgd",)),
        (("scheduler=cosine",), ("scheduler=cosine",)),
        (("experiment=mnist_lenet",), ("experiment=mnist_lenet",)),
        (("+experiment=mnist_lenet",), ("experiment=mnist_lenet",)),
        (("~scheduler",), ("~scheduler", "from=RUN")),
        (("~epochs",), ("~epochs",)),
        (("-m",), ("-m goes with train",)),
        (("-m", "epochs=4,5"), ("-m goes with train",)),
        (("--multirun",), ("-m goes with train",)),
        (("epoch=4",), ("epoch: no such key", "did you mean 'epochs'?")),
        (("checkpoint.every_step=4",), ("checkpoint.every_step: no such key", "did you mean 'every_steps'?")),
        (("data.worker=4",), ("data.worker: no such key", "did you mean 'data.workers'?")),
        (("optim.momentum=0.9",), ("optim.momentum: no such key",)),
        (("epochs=many",), ("epochs=many: wrong type",)),
        (("epochs=0",), ("epochs=0: out of range",)),
        (("device=graphics",), ("device=graphics: no such device",)),
        (("--cfgg",), ("'--cfgg' is not a flag of trainer resume",)),
        (("run=other",), ("are two of them",)),
        (("early_stopping=3",), ("early_stopping",)),
    ],
)
def test_what_is_typed_wrongly_is_refused_in_two_lines(
    trainer: Trainer, parts: Path, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(trainer, "resume", str(parts), *args, words=words)


def test_what_is_no_run_directory_is_refused(trainer: Trainer, parts: Path) -> None:
    Path("folder").mkdir()
    Path("other").mkdir()
    for file in ("file.txt", "other/last.pt"):
        Path(file).touch()
    Path("sweep/0").mkdir(parents=True)
    Path("sweep/sweep.jsonl").touch()
    for run, words in {
        "nowhere": ("nowhere: no such directory", "give one like runs/NAME/"),
        "folder": ("folder: no run directory (it has no config.yaml)",),
        "file.txt": ("file.txt is a file", "give the run directory"),
        "other/last.pt": ("last.pt is a file", "give the run directory"),
        "sweep": ("sweep is a sweep", "resume its jobs one by one: trainer resume sweep/0"),
        "~nobody-of-that-name/run": ("~nobody-of-that-name/run",),
        "x\0y": ("x",),
        "": ("run",),
    }.items():
        refused(trainer, "resume", run, words=words)
    refused(trainer, "resume", words=("run= is missing", "trainer resume RUN"))
    for second in (f"./{parts}", "lenet"):
        refused(
            trainer, "resume", str(parts), second, words=(f"'{second}' are two of them", "trainer resume takes one")
        )


def test_a_run_without_a_checkpoint_says_how_to_start_it_again(trainer: Trainer, parts: Path) -> None:
    """Killed before the first one was written."""
    shutil.rmtree(parts / "checkpoints")
    records.write_overrides(parts, [*ASKED, "name=it's a name"])
    ran = refused(trainer, "resume", str(parts), words=("run has no checkpoint yet", "start it again: trainer train "))
    again = ran.err.splitlines()[1].split("trainer train ")[1]
    assert again == " ".join(ASKED) + " 'name=it'\"'\"'s a name'"


def test_a_run_that_another_process_trains_is_refused(
    trainer: Trainer, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending.lock_seconds(monkeypatch, 0.0)
    with runs.locked(parts):
        refused(trainer, "resume", str(parts), words=("run is being trained by another process",))
    assert trainer("resume", str(parts)).code == 0


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
def test_a_schedule_over_the_whole_length_is_not_made_longer(trainer: Trainer, name: str) -> None:
    with resuming.interrupting(lambda state: state.step == 4):
        assert trainer("train", *ASKED, f"scheduler={name}").code == 130
    (run,) = Path("runs/mlp_digits").iterdir()
    for key in ("epochs=4", "epochs=2", "max_steps=5"):
        words = (f"scheduler={name} was laid out for the length", f"trainer train from={run} epochs=...")
        refused(trainer, "resume", str(run), key, words=words)
    assert trainer("resume", str(run), "epochs=3").code == 0


def test_other_data_under_the_same_path_are_refused_and_the_same_elsewhere_accepted(
    trainer: Trainer, images: Path
) -> None:
    asked = (*SILENT, "model=linear", "data=folder", "data.path=images", "data.size=8", "data.batch_size=8", "epochs=2")
    with resuming.interrupting(lambda state: state.step == 1):
        assert trainer("train", *asked).code == 130
    (run,) = Path("runs/linear_folder").iterdir()
    shutil.copytree(images, "moved")
    (images / "train" / "dark" / "0.png").rename(images / "train" / "light" / "99.png")
    words = ("data=folder: the samples are not those that", f"trainer train from={run}")
    refused(trainer, "resume", str(run), words=words)
    assert trainer("resume", str(run), "data.path=moved").code == 0
    assert result(run)["status"] == "completed"


# --- directories of strangers -------------------------------------------------------------------------

EVIL = """
from pathlib import Path
Path("pwned").touch()

class Evil:
    def __init__(self, *args, **keys):
        Path("pwned").touch()
"""


@pytest.mark.parametrize("group", registry.GROUPS)
def test_a_class_that_only_a_file_names_is_not_run(trainer: Trainer, parts: Path, group: str) -> None:
    Path("evil.py").write_text(EVIL)
    change(parts / "config.yaml", lambda config: config.__setitem__(group, {"_target_": "evil.Evil"}))
    words = (f"run has a {group} of somebody's own, evil.Evil, and a file names no code to run", f"{group}._target_=")
    refused(trainer, "resume", str(parts), words=words)
    assert "evil" not in sys.modules


@pytest.mark.parametrize("target", ["${oc.decode:evil.Evil}", "${name}", ["evil.Evil"], 5, "", None, {"a": 1}])
def test_nor_is_one_whose_name_is_something_else(trainer: Trainer, parts: Path, target: Any) -> None:
    Path("evil.py").write_text(EVIL)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/evil.yaml").write_text("_target_: ${name}\n")

    def edit(config: dict[str, Any]) -> None:
        config["model"] = {"_target_": target}
        config["name"] = "evil.Evil"

    change(parts / "config.yaml", edit)
    refused(trainer, "resume", str(parts), words=())
    assert not Path("pwned").exists()


OWN = """
from torch import nn

class Net(nn.Linear):
    def __init__(self, width):
        super().__init__(64, width)

    def forward(self, x):
        return super().forward(x.flatten(1))
"""


@pytest.fixture
def own(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An interrupted run with a model of the user's own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("own_resumed.py").write_text(OWN)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/own.yaml").write_text("_target_: own_resumed.Net\nwidth: 10\n")
    with resuming.interrupting(lambda state: state.step == 2):
        assert trainer("train", *(a for a in ASKED if a != "model=mlp"), "model=own").code == 130
    (run,) = Path("runs").glob("*/*")
    yield run
    sys.modules.pop("own_resumed", None)


def test_a_class_that_the_users_configs_name_is_used(trainer: Trainer, own: Path) -> None:
    assert trainer("resume", str(own)).code == 0
    assert result(own)["steps"] == 9
    assert result(own)["name"] == "own_digits"


def test_a_class_that_is_made_of_other_keys_is_to_be_typed(trainer: Trainer, own: Path) -> None:
    change(own / "config.yaml", lambda config: config["model"].update(_target_="own_resumed.${model.cls}", cls="Net"))
    refused(trainer, "resume", str(own), words=("model._target_=",))


def test_a_class_that_the_user_types_is_used(trainer: Trainer, own: Path) -> None:
    shutil.rmtree("configs")
    refused(trainer, "resume", str(own), words=("own_resumed.Net", "model._target_=own_resumed.Net"))
    refused(trainer, "resume", str(own), "model._target_=other.Net", words=("other.Net",))
    refused(trainer, "resume", str(own), "model._target_=own_resumed.Net", "model.width=9", words=("model.width=9",))
    assert trainer("resume", str(own), "model._target_=own_resumed.Net").code == 0
    assert result(own)["steps"] == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "[1, 2]",
        "a: [",
        "model: linear",
        "model: {name: mlp}",
        "model: [1]\ndata: 5\n",
        "model: null",
        "model: {name: mlp}\ndata: {name: digits}\noptim: {name: adam}\n",
        "!!python/object/apply:os.mkdir [pwned]",
        "model: !!python/object/apply:os.mkdir [pwned]",
        "model: {name: mlp}\nname: ${name}\n",
        "model: ${model}\n",
        "\x00",
        "model: {name: [nested, list]}\ndata: {name: {a: 1}}\n",
    ],
)
def test_a_config_that_is_none_is_refused(trainer: Trainer, parts: Path, text: str) -> None:
    (parts / "config.yaml").write_text(text)
    for typed in ((), ("data.workers=1",), ("model.hidden=5",)):
        refused(trainer, "resume", str(parts), *typed, words=())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hydra", {"run": {"dir": "pwned"}, "job": {"chdir": True}}, ("hydra: no such key",)),
        ("hydra", {"callbacks": {"evil": {"_target_": "evil.Evil"}}}, ("hydra: no such key",)),
        ("defaults", ["override"], ("defaults: no such key",)),
        ("_target_", "evil.Evil", ("_target_: no such key",)),
        ("name", "${hydra:runtime.cwd}", ()),
        ("name", "${oc.env:NO_SUCH_VARIABLE}", ()),
        ("name", "${no_such_resolver:x}", ()),
        ("name", "${name}", ()),
        ("epochs", "${epochs}", ()),
        ("epochs", "${optim.lr}", ()),
        ("optim", "${model}", ()),
        ("model", "${data}", ()),
        ("data", {"name": "digits", "size": "${oc.env:HOME}"}, ()),
        ("optim", {"name": "adam", "lr": "${oc.env:HOME}"}, ()),
        ("seed", "${oc.create:{_target_:evil.Evil}}", ()),
    ],
)
def test_hydra_and_interpolations_in_a_strangers_config_do_no_harm(
    trainer: Trainer, parts: Path, key: str, value: Any, words: tuple[str, ...]
) -> None:
    Path("evil.py").write_text(EVIL)
    change(parts / "config.yaml", lambda config: config.__setitem__(key, value))
    ran = trainer("resume", str(parts))
    assert ran.code in (0, 2)
    assert "Traceback" not in ran.err
    if ran.code:
        assert 1 <= len(ran.err.splitlines()) <= 2, ran.err
    for word in words:
        assert word in ran.err
    assert not Path("pwned").exists()
    assert "evil" not in sys.modules
    assert {path.name for path in Path().iterdir()} == {"evil.py", "run"}


# --- a finished run -----------------------------------------------------------------------------------


def test_a_finished_run_says_so_and_is_left_as_it_is(trainer: Trainer, whole: Path) -> None:
    before = files(whole)
    for typed in ((), ("epochs=3",), ("epochs=2",), ("max_steps=4",), ("tensorboard.enabled=true",)):
        ran = trainer("resume", str(whole), *typed)
        assert (ran.code, ran.err) == (0, "")
        assert "is finished" in ran.out
        assert "3 epochs, 9 steps" in ran.out
        for command in (f"resume {whole} epochs=6", f"train from={whole}", f"eval {whole}"):
            assert f"trainer {command}" in ran.out
        assert files(whole) == before


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential", "plateau"])
def test_a_longer_run_is_that_of_its_length_from_the_start(trainer: Trainer, schedule: str) -> None:
    keys = {"step": ("scheduler.step_size=2",), "plateau": ("scheduler.patience=0", "optim.lr=0.1")}
    asked = (f"scheduler={schedule}", *keys.get(schedule, ()), "tensorboard.enabled=true", "tensorboard.graph=false")
    long = train(trainer, *LONG, *asked, "output=long")
    run = train(trainer, *ASKED, *asked, "output=short")
    assert trainer("resume", str(run), "epochs=5").code == 0
    assert resuming.differences(long, run) == []
    assert len(rows(run)) == 5
    if schedule != "constant":
        assert len({row["lr"] for row in rows(run)}) > 1


def test_a_run_that_max_steps_ended_goes_on_within_its_epoch(trainer: Trainer) -> None:
    whole = train(trainer, *ASKED, "output=whole")
    run = train(trainer, *ASKED, "max_steps=5", "output=short")
    assert result(run)["steps"] == 5
    assert "is finished" in trainer("resume", str(run), "epochs=9").out
    assert trainer("resume", str(run), "max_steps=null").code == 0
    assert same(weights(run), weights(whole))
    assert result(run)["metrics"] == result(whole)["metrics"]


def test_a_run_that_stopped_early_goes_on_with_more_patience(trainer: Trainer) -> None:
    keys = ("early_stopping.min_delta=1", "optim.lr=0.01")
    whole = train(trainer, *LONG, *keys, "early_stopping.patience=3", "output=whole")
    run = train(trainer, *LONG, *keys, "early_stopping.patience=1", "output=short")
    assert result(run)["steps"] < result(whole)["steps"]
    ran = trainer("resume", str(run))
    assert "no improvement" in ran.out
    assert "early_stopping.patience=null" in ran.out
    assert trainer("resume", str(run), "early_stopping.patience=3").code == 0
    assert resuming.differences(whole, run) == []


# --- damaged and older checkpoints --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["damaged", "empty", "missing"])
def test_without_a_whole_last_the_one_before_is_gone_on_from(
    trainer: Trainer, parts: Path, whole: Path, how: str
) -> None:
    last = parts / "checkpoints" / "last.pt"
    damaged = b""
    if how == "missing":
        last.unlink()
    else:
        damage(last) if how == "damaged" else last.write_bytes(b"")
        damaged = last.read_bytes()
    ran = trainer("resume", str(parts))
    assert ran.code == 0, ran.err
    if how != "missing":
        assert "warning: " in ran.out
        assert "last.pt" in ran.out
        assert "the run is resumed from previous.pt" in ran.out
        assert (parts / "checkpoints" / "damaged.pt").read_bytes() == damaged
        assert "the run is resumed from previous.pt" in (parts / "train.log").read_text()
    assert resuming.differences(whole, parts) == []


def test_where_both_are_damaged_nothing_is_started(trainer: Trainer, parts: Path) -> None:
    for name in ("last", "previous"):
        damage(parts / "checkpoints" / f"{name}.pt")
    before = files(parts)
    ran = trainer("resume", str(parts))
    assert ran.code == 2
    assert "previous.pt is damaged" in ran.err
    assert "last.pt" in ran.out
    assert files(parts) == before


def test_a_damaged_best_is_found_again_or_missed_with_a_warning(trainer: Trainer, parts: Path, whole: Path) -> None:
    damage(parts / "checkpoints" / "best.pt")
    ran = trainer("resume", str(parts))
    assert ran.code == 0, ran.err
    assert "best.pt" in ran.out
    assert "warning: " in ran.out
    assert result(parts)["status"] == "completed"
    assert same(weights(parts), weights(whole))


BEST: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "of another shape": (lambda kept: kept["model"].update({"fc2.bias": torch.zeros(3)}), "fc2.bias is 3, expected 10"),
    "of another model": (lambda kept: kept["model"].update(other=torch.zeros(3)), "other is not the model's"),
    "complex": (lambda kept: kept["model"].update({"fc2.bias": torch.zeros(10) * 1j}), "fc2.bias is complex64"),
    "not finite": (lambda kept: kept["model"]["fc2.bias"].fill_(math.nan), "weights that are not finite"),
    "of no worth": (lambda kept: kept.update(best=None), "does not say how good its weights are"),
    "without a value": (lambda kept: kept["best"].pop("value"), "its 'best' is not what it should be"),
}


@pytest.mark.parametrize("name", BEST)
def test_a_best_of_something_else_is_missed_with_a_warning(
    trainer: Trainer, parts: Path, whole: Path, name: str
) -> None:
    change, said = BEST[name]
    best = checkpoint(parts, "best")
    change(best)
    torch.save(best, parts / "checkpoints" / "best.pt")
    ran = trainer("resume", str(parts))
    assert ran.code == 0, ran.err
    assert re.search(
        rf"^warning: .*best\.pt .*{said}.*: the best weights up to step 5 are lost$", ran.out, re.MULTILINE
    )
    assert same(weights(parts), weights(whole))


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_checkpoint_of_a_later_trainer_is_neither_passed_over_nor_lost(
    trainer: Trainer, parts: Path, name: str
) -> None:
    path = parts / "checkpoints" / f"{name}.pt"
    torch.save(checkpoint(parts, name) | {"version": 3}, path)
    before = path.read_bytes()
    refused(trainer, "resume", str(parts), words=(f"{name}.pt has format version 3", "update trainer"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer": {"state": {}, "param_groups": []}}, "cannot be resumed from: its optimizer is of another kind"),
        ({"rng": None}, "cannot be resumed from: it has no random states"),
        ({"epoch": 2}, "cannot be resumed from: its counters contradict each other"),
        ({"description": "{}"}, "holds weights only"),
        ({"description": '{"choices": {}}'}, "does not say what it was trained on"),
    ],
)
def test_a_training_that_is_not_this_runs_is_refused_and_nothing_is_touched(
    trainer: Trainer, parts: Path, change: dict[str, Any], said: str
) -> None:
    torch.save(checkpoint(parts) | change, parts / "checkpoints" / "last.pt")
    before = files(parts)
    refused(trainer, "resume", str(parts), words=(said, "start a new run from its weights"))
    assert files(parts) == before


def test_weights_that_are_not_finite_are_gone_on_with_only_where_that_is_to_be_ignored(
    trainer: Trainer, parts: Path
) -> None:
    kept = checkpoint(parts)
    kept["model"]["fc2.bias"].fill_(math.inf)
    torch.save(kept, parts / "checkpoints" / "last.pt")
    refused(trainer, "resume", str(parts), words=("weights that are not finite, first fc2.bias", "on_nan=ignore"))
    assert trainer("resume", str(parts), "on_nan=ignore").code == 0


@pytest.mark.parametrize("name", ["best", "bare"])
def test_a_checkpoint_without_a_training_in_it_is_refused(trainer: Trainer, parts: Path, name: str) -> None:
    """Somebody copied a file there."""
    last = parts / "checkpoints" / "last.pt"
    if name == "best":
        shutil.copy(parts / "checkpoints" / "best.pt", last)
    else:
        torch.save(weights(parts), last)
    refused(trainer, "resume", str(parts), words=("last.pt",))


# --- what may change, and what is left ----------------------------------------------------------------


def test_what_may_change_is_used_and_written_down(trainer: Trainer, parts: Path, whole: Path) -> None:
    typed = [
        *("device=cpu", "tensorboard.enabled=true", "tensorboard.every_steps=1", "tensorboard.graph=false"),
        *("checkpoint.every_steps=1", "checkpoint.every_minutes=null", "data.placement=stream", "data.workers=0"),
        *("compile=off", "on_nan=skip", "data.eval_batch_size=50"),
    ]
    written = []
    with pytest.MonkeyPatch.context() as patch:
        pretending.watching(patch, lambda path: path.suffix in (".yaml", ".json") and written.append(path.name))
        assert trainer("resume", str(parts), *typed).code == 0
    assert written == ["config.yaml", "overrides.yaml", "origin.json", "result.json", "result.json"]
    config = yaml.safe_load((parts / "config.yaml").read_text())
    assert config["tensorboard"] == {"enabled": True, "every_steps": 1, "graph": False, "histograms": False}
    assert config["checkpoint"] == {"every_steps": 1, "every_epochs": None, "every_minutes": None}
    assert (config["data"]["placement"], config["data"]["workers"]) == ("stream", 0)
    assert yaml.safe_load((parts / "overrides.yaml").read_text()) == [*ASKED, "output=parts", *typed]
    assert {step for step, name, _ in resuming.scalars(parts) if name == "loss/within_epochs"} == {6, 7, 8, 9}
    assert checkpoint(parts, "previous")["step"] in (8, 9)
    assert same(weights(parts), weights(whole))
    assert [row["step"] for row in rows(parts)] == [3, 6, 9]
    # And once more it is finished, with what was typed before.
    assert "is finished" in trainer("resume", str(parts)).out


def test_result_json_says_interrupted_while_it_runs(trainer: Trainer, whole: Path) -> None:
    """Killed in the middle, a run that is made longer is not a completed one."""
    seen = []
    assert result(whole)["status"] == "completed"
    with resuming.interrupting(lambda state: bool(seen.append(result(whole)["status"]))):
        assert trainer("resume", str(whole), "epochs=4").code == 0
    assert set(seen) == {"interrupted"}
    assert (result(whole)["status"], result(whole)["epochs"]) == ("completed", 4)


def test_killed_after_its_last_step_it_is_tested_and_nothing_else(trainer: Trainer, whole: Path, empty: Path) -> None:
    run = shutil.copytree(whole, empty / "killed")
    (run / "result.json").unlink()
    assert trainer("resume", str(run)).code == 0
    assert resuming.differences(whole, run) == []


def test_a_finished_run_of_which_only_the_checkpoint_is_left_is_tested_again(
    trainer: Trainer, whole: Path, empty: Path
) -> None:
    run = shutil.copytree(whole, empty / "stripped")
    (run / "result.json").unlink()
    (run / "metrics.jsonl").unlink()
    ran = trainer("resume", str(run))
    assert ran.code == 0, ran.err
    tested = {name: value for name, value in result(whole)["metrics"].items() if name.startswith("test/")}
    assert result(run)["metrics"] == tested


def test_how_often_it_was_interrupted_shows_in_its_time_only(trainer: Trainer, parts: Path, whole: Path) -> None:
    before = checkpoint(parts)["seconds"]
    with resuming.interrupting(lambda state: state.step == 7):
        ran = trainer("resume", str(parts))
    assert ran.code == 130
    assert f"trainer resume {parts}" in ran.err
    assert re.search(r"^  resumed +after step 5, in epoch 2$", ran.out, re.MULTILINE)
    assert result(parts)["status"] == "interrupted"
    assert checkpoint(parts)["seconds"] > before
    assert trainer("resume", str(parts)).code == 0
    assert result(parts)["seconds"] > checkpoint(parts)["seconds"] > before
    assert resuming.differences(whole, parts) == []
    assert (parts / "train.log").read_text().count("  resumed  ") == 2


def test_from_another_directory_and_by_a_link_it_is_the_same_run(trainer: Trainer, parts: Path, whole: Path) -> None:
    Path("link").symlink_to(parts)
    Path("there").mkdir()
    os.chdir("there")
    assert trainer("resume", "../link").code == 0
    os.chdir("..")
    assert resuming.differences(whole, parts) == []


@pytest.mark.parametrize("name", ["a b", "a=b", "it's", "ü,[x]", "$HOME", "-run", "5"])
def test_a_run_directory_of_any_name_is_gone_on_with(trainer: Trainer, parts: Path, name: str) -> None:
    parts.rename(name)
    ran = trainer("resume", f"./{name}" if name.startswith("-") else name)
    assert ran.code == 0, ran.err
    assert result(Path(name))["steps"] == 9


# --- a new run from the weights of another ------------------------------------------------------------


def test_a_new_run_starts_with_the_weights_the_model_and_the_data_of_another(trainer: Trainer, whole: Path) -> None:
    run = train(trainer, f"from={whole}", "optim=sgd", "epochs=1", *SILENT)
    assert same(weights(run, "previous"), weights(whole, "best"))  # that of its start
    assert not same(weights(run), weights(whole, "best"))
    config, before = (yaml.safe_load((each / "config.yaml").read_text()) for each in (run, whole))
    assert config["model"]["name"] == "mlp"
    assert config["from"] == str(whole)
    assert config["optim"]["name"] == "sgd"
    for key in ("name", "size", "limit", "batch_size", "val_fraction", "split_seed"):
        assert config["data"][key] == before["data"][key], key
    best = checkpoint(whole, "best")
    parent = {"path": str(whole / "checkpoints" / "best.pt"), "epoch": best["epoch"], "step": best["step"]}
    assert result(run)["parent"] == parent
    assert result(run)["steps"] == 3
    assert "parent" not in result(whole)


def test_what_is_typed_goes_before_what_the_checkpoint_says(trainer: Trainer, whole: Path) -> None:
    typed = ("data.batch_size=10", "data.limit=60", "model.activation=tanh")
    run = train(trainer, f"from={whole}", *typed, "epochs=1", *SILENT)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["data"]["batch_size"], config["data"]["limit"], config["data"]["size"]) == (10, 60, 8)
    assert (config["model"]["activation"], config["model"]["hidden"]) == ("tanh", 64)
    assert result(run)["steps"] == 6
    words = ("does not fit the model", "fc1.weight")
    refused(trainer, "train", f"from={whole}", "model.hidden=7", words=words)
    refused(trainer, "train", f"from={whole}", "model=linear", words=("does not fit the model",))


def test_the_parent_is_kept_when_the_new_run_is_resumed(trainer: Trainer, whole: Path) -> None:
    asked = (f"from={whole}/checkpoints/last.pt", "epochs=2", "optim.lr=0.01", *SILENT)
    straight = train(trainer, *asked, "output=straight")
    with resuming.interrupting(lambda state: state.step == 4):
        assert trainer("train", *asked, "output=parts").code == 130
    (run,) = Path("parts/mlp_digits").iterdir()
    shutil.rmtree(whole)  # its weights are not needed any more
    assert trainer("resume", str(run)).code == 0
    parent = {"path": str(whole / "checkpoints" / "last.pt"), "epoch": 3, "step": 9}
    assert result(run)["parent"] == result(straight)["parent"] == parent
    assert resuming.differences(straight, run) == []
    assert trainer("resume", str(run), "epochs=3").code == 0
    assert result(run)["parent"] == parent


def test_a_bare_state_dict_needs_its_model_and_data(trainer: Trainer, whole: Path) -> None:
    torch.save(weights(whole, "best"), "net.pth")
    refused(trainer, "train", "from=net.pth", words=("net.pth is a bare state_dict", "model=..."))
    refused(trainer, "train", "from=net.pth", "model=mlp", words=("does not say its data", "data=..."))
    run = train(trainer, "from=net.pth", *ASKED)
    assert same(weights(run, "previous"), weights(whole, "best"))
    assert result(run)["parent"] == {"path": "net.pth", "epoch": None, "step": None}


def test_an_experiment_chooses_model_and_data_also_of_a_new_run(trainer: Trainer, whole: Path) -> None:
    folder = Path("configs/experiment")
    folder.mkdir(parents=True)
    header = "# @package _global_\ndefaults:\n  - override /model: mlp\n  - override /data: digits\n"
    (folder / "fine.yaml").write_text(f"{header}data: {{size: 8, limit: 50}}\noptim: {{lr: 0.5}}\nepochs: 1\n")
    run = train(trainer, f"from={whole}", "experiment=fine", *SILENT)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["optim"]["lr"], config["epochs"], config["data"]["size"]) == (0.5, 1, 8)
    assert same(weights(run, "previous"), weights(whole, "best"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", ("from=nowhere: no such file or directory",)),
        ("whol", ("from=whol", "did you mean")),
        ("whole/plots", ("from=whole/plots: a directory without a run",)),
        ("whole/config.yaml", ("config.yaml is not a checkpoint",)),
    ],
)
def test_what_holds_no_weights_is_refused(trainer: Trainer, whole: Path, given: str, words: tuple[str, ...]) -> None:
    refused(trainer, "train", f"from={given}", words=words)


def test_weights_that_are_not_finite_are_used_only_where_that_is_to_be_ignored(trainer: Trainer, whole: Path) -> None:
    state = weights(whole)
    state["fc2.bias"][0] = math.nan
    torch.save(state, "nan.pth")
    said = "nan.pth has weights that are not finite, first fc2.bias"
    refused(trainer, "train", "from=nan.pth", *ASKED, words=(f"error: {said}", "on_nan=ignore"))
    ran = trainer("train", "from=nan.pth", "on_nan=ignore", *ASKED)
    assert ran.code == 0
    assert f"warning: {said}" in ran.out


def test_a_sweep_may_start_from_one_checkpoint(trainer: Trainer, whole: Path) -> None:
    assert trainer("train", "-m", f"from={whole}", "seed=1,2", "epochs=1", *SILENT).code == 0
    (sweep,) = (path.parent for path in Path("runs/sweeps").rglob("sweep.jsonl"))
    jobs = [sweep / number for number in ("0", "1")]
    assert all(same(weights(job, "previous"), weights(whole, "best")) for job in jobs)
    assert "2 of 2 jobs are done and kept" in trainer("resume", str(sweep)).out
    assert "is finished" in trainer("resume", str(jobs[0])).out
    assert trainer("resume", str(jobs[1]), "epochs=2").code == 0
    assert result(jobs[1])["steps"] == 6
