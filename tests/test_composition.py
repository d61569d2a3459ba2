"""From what was typed to a checked config: types, limits, names, and descriptions that are only text."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from trainer.cli import arguments
from trainer.cli.jobs import Jobs
from trainer.config import composition, registry
from trainer.config.base import Config, Custom
from trainer.config.check import check
from trainer.config.composition import CONFIGS
from trainer.config.data import Augment, Data
from trainer.config.model import MLP, Initial, LeNet
from trainer.config.optim import SGD
from trainer.config.train import Evaluate, Train
from trainer.data.sets.diabetes import Diabetes
from trainer.data.sets.digits import Digits
from trainer.system.errors import ConfigError, UnknownKeyError

Compose = Callable[..., Config]


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    composition.register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield


@pytest.fixture
def composed() -> Compose:
    """`composed(VERB, OVERRIDES...)` as the command line does it."""

    def make(verb: str, *overrides: str) -> Config:
        cfg = compose(verb, overrides=list(overrides))
        choices = {o.split("=")[0]: o.split("=")[1] for o in overrides if "." not in o.split("=")[0]}
        return check(verb, cfg, [o.lstrip("+") for o in overrides], choices)

    return make


def digits(**keys: Any) -> Digits:
    """As the tests' environment has it."""
    return Digits(cache=os.environ["TRAINER_CACHE"], **keys)


# --- checking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["epochs=3,4", "model=mlp,linear", "seed=1"],
        ["epochs=3", "optim.lr=0.5,1", "epochs=4"],
        ["model=mlp", "model.hidden=7,8", "optim=adam", "optim.betas=[0.5,0.9]", "seed=${epochs}"],
        ["experiment=mnist_lenet,line", "optim.lr=0.5", "data.limit=null,7"],
        ["~model", "+model.name=linear", "tensorboard.enabled=false,true"],
        ["model.typo=1,2", "output=a b", "data.augment={flip: true}"],
    ],
)
def test_jobs_are_what_hydra_composes_one_by_one(overrides: list[str]) -> None:
    """Though what they share is composed once."""
    jobs = Jobs(arguments.read("train", ["-m", *overrides]))
    found = list(jobs.combinations())
    assert len(found) == 2 ** sum("," in override.partition("=")[2].split("[")[0] for override in overrides)
    for job in found:
        words, (cfg, choices) = job.words, jobs.composed(job)
        expected = compose("train", words, return_hydra_config=True)
        assert choices == {
            group: str(choice) for group, choice in expected.hydra.runtime.choices.items() if group in choices
        }
        with open_dict(expected):
            del expected["hydra"]
        assert OmegaConf.to_yaml(cfg) == OmegaConf.to_yaml(expected)


def test_sections_are_instances_of_their_dataclasses(composed: Compose) -> None:
    found = composed("train", "optim=sgd", "++optim.lr=0.5", "++data.augment.crop=2")
    assert isinstance(found, Train)
    assert found.optim == SGD(lr=0.5)
    assert found.data == digits(augment=Augment(crop=2))
    assert found.evaluate == Evaluate()


@pytest.mark.parametrize("group", registry.GROUPS)
def test_every_choice_has_its_dataclass_and_its_config_file(group: str) -> None:
    ready_made = {"model": {"resnet18"}, "data": {"csv"}}.get(group, set())  # choices of another's keys
    assert set(registry.names(group)) | ready_made == {p.stem for p in (CONFIGS / group).glob("*.yaml")}
    for name, cls in registry.sections(group).items():
        assert next(f.default for f in dataclasses.fields(cls) if f.name == "name") == name


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("optim.lrr=0.1", "optim.lrr: no such key", "did you mean 'lr'?"),
        ("epoch=3", "epoch: no such key", "did you mean 'epochs'?"),
        ("data.augment.flipp=true", "data.augment.flipp: no such key", "did you mean 'flip'?"),
        ("evaluate.every_epoch=1", "evaluate.every_epoch: no such key", "did you mean 'every_epochs'?"),
        ("modell.dropout=0", "modell: no such key", "did you mean 'model.dropout'?"),
        ("unknown=1", "unknown: no such key", "trainer train --help lists the keys"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest(composed: Compose, override: str, message: str, hint: str) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        composed("train", f"++{override}")
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("optim.lr=fast", "a number or auto"),
        ("epochs=2.5", "a whole number or auto"),
        ("epochs=many", "a whole number or auto"),
        ("epochs=null", "a whole number or auto"),
        ("clip_norm=strong", "a number or null"),
        ("data.batch_size=[1,2]", "a whole number or null; several are a sweep: -m data.batch_size=1,2"),
        ("data.batch_size=2.5", "a whole number or null"),
        ("data.augment.flip=7.5", "true or false or null"),
        ("plots=perhaps", "true or false"),
        ("optim.betas=0.9", "a list of numbers, like [0.5,0.5]"),
        ("optim.betas=[a,b]", "a list of numbers, like [0.5,0.5]"),
        ("seed=[1]", "a whole number"),
        ("name={a: 1}", "text or null"),
    ],
)
def test_a_wrong_type_says_what_it_must_be(composed: Compose, override: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match="wrong type") as caught:
        composed("train", f"++{override}")
    assert caught.value.message.startswith(override.split("=")[0] + "=")
    assert caught.value.hint == f"it must be {wanted}"


@pytest.mark.parametrize("override", ["data=3", "evaluate=3", "data.augment=true"])
def test_a_value_in_place_of_a_section_is_refused(composed: Compose, override: str) -> None:
    with pytest.raises(ConfigError, match=r"a section, not a value|no such config"):
        check("train", OmegaConf.merge(compose("train"), OmegaConf.from_dotlist([override])), [], {})


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("optim.lr=-1", "above 0"),
        ("optim.lr=0", "above 0"),
        ("optim.lr=nan", "above 0"),
        ("optim.lr=inf", "above 0"),
        ("epochs=0", "at least 1"),
        ("data.batch_size=0", "at least 1"),
        ("data.val_fraction=1", "at least 0 and below 1"),
        ("data.val_fraction=-0.1", "at least 0 and below 1"),
        ("model.dropout=1", "at least 0 and below 1"),
        ("seed=-1", "at least 0"),
        ("optim.betas=[0.9,1.5]", "at least 0 and below 1"),
        ("early_stopping.patience=0", "at least 1"),
    ],
)
def test_a_value_out_of_range_says_the_range(composed: Compose, override: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match="out of range") as caught:
        composed("train", f"++{override}")
    assert caught.value.hint.startswith(f"it must be {wanted}")


@pytest.mark.parametrize("override", ["clip_norm=null", "max_steps=null", "seed=0", "data.val_fraction=0"])
def test_values_at_the_edge_of_what_is_allowed_pass(composed: Compose, override: str) -> None:
    composed("train", f"++{override}")


def test_a_choice_of_a_key_is_answered_with_the_nearest(composed: Compose) -> None:
    with pytest.raises(ConfigError, match="precision=bfloat: no such choice") as caught:
        composed("train", "++precision=bfloat")
    assert caught.value.hint == "did you mean 'bfloat16'?"


@pytest.mark.parametrize(
    ("overrides", "key"), [(["data=csv"], "data.path"), (["data=folder"], "data.path"), ([], "ckpt")]
)
def test_a_missing_value_is_named_with_its_meaning(composed: Compose, overrides: list[str], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}= is missing$") as caught:
        composed("eval" if key == "ckpt" else "train", *overrides)
    assert caught.value.hint.startswith(f"give {key}=...: ")


def test_a_name_that_is_not_in_the_registry_is_answered_with_the_nearest(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"model\.name=lenett: trainer has no such model") as caught:
        composed("train", "++model.name=lenett")
    assert "did you mean 'lenet'?" in caught.value.hint


def test_what_only_the_data_tell_is_filled_in_before_the_model_reads_it(composed: Compose) -> None:
    found = composed("train", "data=csv", "++data.path=x.csv", "++data.target=y", "model=mlp")
    with pytest.raises(ConfigError, match=r"needs data\.features, which data=csv does not have"):
        found.fill_data({})
    assert found.model is None
    found.fill_data({"features": 7, "outputs": 3, "num_classes": 3})
    assert found.model == MLP(in_features=7, out_features=3)
    assert found.facts() == {"features": 7, "outputs": 3, "num_classes": 3}


def test_a_model_for_images_says_that_a_table_has_none(composed: Compose) -> None:
    found = composed("train", "data=diabetes", "model=lenet")
    with pytest.raises(ConfigError, match="model=lenet needs images, which data=diabetes does not have"):
        found.fill_data({"features": 10, "outputs": 1})


def test_a_fact_that_the_data_contradict_is_refused(composed: Compose) -> None:
    found = composed("train", "++data.num_classes=3")
    with pytest.raises(ConfigError, match=r"data\.num_classes=3: the data have 10"):
        found.fill_data({"num_classes": 10})


def test_the_environment_stays_out_of_the_file(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINER_DATA", "/secret")
    found = composed("train", "data=mnist")
    assert found.data.root == "/secret"
    assert "/secret" not in found.to_yaml()
    assert "${oc.env:TRAINER_DATA,data}" in found.to_yaml()


# --- sections of the user's own ---------------------------------------------------------------------------


def own(composed: Compose, group: str, **keys: Any) -> Config:
    cfg = compose("train")
    OmegaConf.set_struct(cfg, False)
    cfg[group] = keys
    return check("train", cfg, [], {group: "mine"})


def test_a_model_of_the_users_gets_its_own_keys_resolved(composed: Compose) -> None:
    found = own(composed, "model", _target_="mine.Net", width=8, classes="${data.num_classes}")
    found.fill_data({"num_classes": 10})
    assert found.model == Custom("mine.Net", {"width": 8, "classes": 10}, common=Initial())


def test_data_of_the_users_share_the_common_keys_and_their_checks(composed: Compose) -> None:
    found = own(composed, "data", _target_="mine.Data", radius=2, batch_size=7).data
    assert found == Custom("mine.Data", {"radius": 2}, Data(name="mine.Data", batch_size=7))
    with pytest.raises(ConfigError, match=r"data\.batch_size=0: out of range"):
        own(composed, "data", _target_="mine.Data", batch_size=0)


@pytest.mark.parametrize("target", ["Net", 5, ""])
def test_a_target_without_a_module_is_refused(composed: Compose, target: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\._target_=.*: not of the form module\.Class"):
        own(composed, "model", _target_=target)


# --- descriptions of checkpoints ------------------------------------------------------------------------


FILE = Path("model.pt")  # that a description is from
LENET = {"name": "lenet", "in_channels": 1, "image_size": 28, "num_classes": 10, "dropout": 0.25}


def test_a_description_completes_what_was_not_chosen(composed: Compose) -> None:
    found = composed("eval", "++ckpt=x")
    assert not found.given("model")
    found.adopt("model", LENET, FILE)
    found.adopt("data", {"name": "digits", "val_fraction": 0.25, "augment": {"flip": True, "crop": 2}}, FILE)
    found.fill_data(found.facts())
    assert found.model == LeNet(in_channels=1, image_size=28, num_classes=10, dropout=0.25)
    assert found.data == digits(val_fraction=0.25, augment=Augment(flip=True, crop=2))


def test_what_was_typed_goes_before_the_description_and_that_before_defaults(composed: Compose) -> None:
    found = composed("eval", "++ckpt=x", "data=digits", "++data.limit=5")
    found.adopt("data", {"name": "digits", "limit": 50, "val_fraction": 0.25}, FILE)
    assert found.data == digits(limit=5, val_fraction=0.25)


def test_another_choice_leaves_the_description_aside(composed: Compose) -> None:
    found = composed("eval", "++ckpt=x", "data=diabetes")
    found.adopt("data", {"name": "digits", "limit": 50}, FILE)
    assert found.data == Diabetes(batch_size=32)


@pytest.mark.parametrize(
    "change",
    [
        {"_target_": "os.system"},
        {"dropout": {"_target_": "os.system", "command": "true"}},
        {"dropout": [{"_target_": "os.system"}]},
        {"dropout": "${oc.env:HOME}"},
        {"dropout": "\\${oc.env:HOME}"},
        {"dropout": "\\\\${oc.env:HOME}"},
        {"dropout": ["${data.num_classes}"]},
        {"name": "${oc.env:HOME}"},
        {"${oc.env:HOME}": 1},
        {"_recursive_": True},
        {"augment": {"flip": {"deep": ["x${y}"]}}},
    ],
    ids=str,
)
def test_a_description_with_expressions_is_refused(composed: Compose, change: dict[str, Any]) -> None:
    found = composed("eval", "++ckpt=x")
    with pytest.raises(ConfigError, match="the checkpoint's description of its model holds expressions"):
        found.adopt("model", LENET | change, FILE)
    assert not found.given("model")


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (LENET | {"name": "os.system"}, "the checkpoint's model is 'os.system', which trainer does not have"),
        (LENET | {"name": None}, "the checkpoint's model is 'None', which trainer does not have"),
        ({"dropout": 0.5}, "the checkpoint's model is 'None', which trainer does not have"),
        (LENET | {"dropout": "much"}, r"model\.dropout=much: wrong type"),
        (LENET | {"dropout": 2.0}, r"model\.dropout=2\.0: out of range"),
        (LENET | {"extra": 1}, r"model\.extra: no such key"),
        (LENET | {"image_size": "???"}, r"model\.image_size= is missing"),
        ({"name": "lenet"}, r"model\.in_channels= is missing"),
    ],
)
def test_a_description_is_checked_like_what_is_typed(
    composed: Compose, described: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        composed("eval", "++ckpt=x").adopt("model", described, FILE)


def test_a_description_says_what_it_is_and_not_how_it_was_got(composed: Compose) -> None:
    found = composed("train", "data=cifar10", "++data.limit=9", "model=resnet18", "++model.weights=mine.pt")
    found.fill_data(found.facts())
    assert found.describe("model") == {
        "name": "torchvision",
        "arch": "resnet18",
        "in_channels": 3,
        "num_classes": 10,
    }
    described = found.describe("data")
    assert (described["name"], described["limit"]) == ("cifar10", 9)
    assert "download" not in described
    again = composed("eval", "++ckpt=x")
    again.adopt("data", described, FILE)
    assert again.data == found.data


@pytest.mark.parametrize(
    ("group", "described"),
    [
        ("model", {"name": "torchvision", "arch": "resnet18", "num_classes": 2, "weights": "DEFAULT"}),
        ("model", {"name": "torchvision", "arch": "resnet18", "num_classes": 2, "freeze": True}),
        ("data", {"name": "mnist", "root": "elsewhere", "download": True}),
        ("data", {"name": "mnist", "num_classes": 7}),
    ],
)
def test_a_file_does_not_say_how_to_get_things(composed: Compose, group: str, described: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"the checkpoint sets {group}.{list(described)[-1]}, which a file may not"):
        composed("eval", "++ckpt=x").adopt(group, described, FILE)


def test_a_root_of_a_file_is_never_downloaded_into(composed: Compose) -> None:
    found = composed("eval", "++ckpt=x")
    found.adopt("data", {"name": "mnist", "root": "elsewhere"}, FILE)
    assert (found.data.root, found.data.download) == ("elsewhere", False)


def test_a_file_gives_a_class_of_the_users_no_key_it_does_not_have(composed: Compose) -> None:
    found = own(composed, "model", _target_="mine.Net", hidden=2)
    with pytest.raises(ConfigError, match=r"the checkpoint sets model\.cache_dir, which a file may not"):
        found.adopt("model", {"class": "mine.Net", "hidden": 3, "cache_dir": "/etc"}, FILE)
    found.adopt("model", {"class": "mine.Net", "hidden": 3}, FILE)
    found.fill_data({})
    assert found.model.kwargs == {"hidden": 3}


@pytest.mark.parametrize("group", ["data", "model"])
def test_a_description_has_no_value_of_the_environment(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setenv("TRAINER_DATA", "hunter2")
    if group == "data":
        found = composed("train", "data=mnist")
    else:
        found = own(composed, "model", _target_="mine.Net", token="${oc.env:TRAINER_DATA}")
        found.fill_data({})
    assert "hunter2" not in str(found.describe(group))


def test_a_description_of_the_users_own_names_it_and_its_keys(composed: Compose) -> None:
    found = own(composed, "data", _target_="mine.Data", radius=2, batch_size=7)
    described = found.describe("data")
    assert described["class"] == "mine.Data"
    assert (described["radius"], described["batch_size"]) == (2, 7)
    assert "name" not in described


# --- Hydra's own complaints -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (["model=lenett"], "model=lenett: no such config", "did you mean 'lenet'?"),
        (["experiment=mnist"], "experiment=mnist: no such config", "did you mean 'mnist_lenet'?"),
        (["optim=qqqq"], "optim=qqqq: no such config", "choose from: adagrad, adam, "),
        (["name=[a"], "cannot read 'name=[a'", "quote values"),
    ],
)
def test_hydras_errors_become_one_line_and_a_hint(overrides: list[str], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        composition.compose("train", overrides)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_an_error_that_is_not_hydras_is_a_bug() -> None:
    with pytest.raises(ZeroDivisionError), composition.explained():
        _ = 1 / 0


def test_choices_of_a_group_are_ours_and_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "mynet.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert set(composition.group_choices("model")) == {*registry.names("model"), "resnet18", "mynet"}
