"""Jobs of a sweep that are taken over from others: each is what composing and checking it as a whole gives."""

import dataclasses
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from trainer.cli import arguments
from trainer.cli.jobs import Jobs
from trainer.cli.sweep import HOLDING_OUT, Asking
from trainer.config import composition, registry
from trainer.config.base import Config
from trainer.config.check import check
from trainer.config.composition import CONFIGS, compose
from trainer.config.keys import public
from trainer.config.train import Train
from trainer.sweeps.plan import Asked
from trainer.system.errors import TrainerError

# Configs of the user's own.
FILES = {
    "model/mine.yaml": "defaults: [mlp, _self_]\nhidden: 7\n",
    "model/other.yaml": "_target_: mine.Net\nwidth: ${data.num_classes}\n",
    "optim/mine.yaml": "defaults: [/SGD@_here_]\nmomentum: 0.5\n",
    "model/global.yaml": "# @package _global_\nmodel: {name: mlp, hidden: 3}\noptim: {lr: 0.5}\n",
    "scheduler/override.yaml": "# @package _global_\ndefaults: [override /model: mlp]\nscheduler: {name: step}\n",
    "optim/picks.yaml": "defaults: ['sgd_${scheduler}', _self_]\n",
    "model/picks.yaml": "defaults: ['/extra/${optim}@_here_']\nname: mlp\n",
    "model/extra/sgd.yaml": "hidden: 5\n",
    "model/extra/adam.yaml": "hidden: 6\n",
    "model/extra/auto.yaml": "hidden: 7\n",
    "optim/optim/sgd_constant.yaml": "name: sgd\nlr: 0.25\n",
    "optim/optim/sgd_cosine.yaml": "name: sgd\nlr: 0.75\n",
    "optim/copies.yaml": "name: adam\nbetas: ${model.betas}\n",
    "model/one.yaml": "name: mlp\nopts: {a: 1}\n",
    "model/two.yaml": "name: mlp\nopts: {a: 2}\n",
    "optim/copied.yaml": "name: adam\nopts: ${model.opts}\n",
    "experiment/merges.yaml": "# @package _global_\noptim: {opts: {b: 3}}\n",
    "experiment/plain.yaml": "# @package _global_\noptim: {lr: 0.375}\nmodel: {hidden: 9}\n",
}


@pytest.fixture(autouse=True)
def hydra(empty: Path) -> Iterator[None]:
    for name, text in FILES.items():
        (empty / "configs" / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / "configs" / name).write_text(text)
    with composition.ready():
        yield


def alone(words: list[str]) -> Asked:
    """A job that Hydra composes, and that is checked as a whole."""
    typed = [word.lstrip("+") for word in words if not word.startswith("~")]
    try:
        config = check("train", *_swapped(compose("train", words), typed))
    except TrainerError as error:
        return Asked(typed, None, error)
    if getattr(config.samples, "val_fraction", None) == "auto":  # the jobs of a sweep are ranked by what they hold out
        config.change("data.val_fraction", 0.1)
        typed.append(HOLDING_OUT)
    return Asked(typed, config)


def _swapped(composed: tuple[Any, dict[str, str]], typed: list[str]) -> tuple[Any, list[str], dict[str, str]]:
    return composed[0], typed, composed[1]


def shown(asked: Asked) -> Any:
    """All that there is to a job."""
    config = asked.config
    if config is None:
        assert asked.mistake is not None
        return asked.typed, type(asked.mistake), asked.mistake.message, asked.mistake.hint
    return (asked.typed, asked.digest, config.to_yaml(), config.choices, *facts(config))


def facts(config: Config) -> Iterator[Any]:
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        yield field.name, repr(getattr(config, field.name))
    for group in registry.GROUPS:
        yield config.given(group), config.written(group)
    if config.data is not None:
        try:
            config.fill_data({})
        except TrainerError as error:
            yield error.message
        yield repr(config.model)
        yield config.to_yaml()


def sweep(*overrides: str) -> tuple[Jobs, list[list[str]], list[Asked]]:
    jobs = Jobs(arguments.read("train", ["-m", *overrides]))
    asking, found = Asking(jobs), list(jobs.combinations())
    return jobs, [job.words for job in found], [asking(job) for job in found]


@pytest.mark.parametrize(
    "overrides",
    [
        ["optim.lr=0.1,1,-1,x,null,inf", "seed=0,1.0,true"],
        ["model=mlp", "data=diabetes", "model.hidden=8,16,0", "evaluate.split=val,test", "data.augment.crop=0,4"],
        ["data=mnist", "data.cache=null,'a b'", "data.root=x,y", "early_stopping.patience=null,3"],
        ["seed=${epochs}", "epochs=3,4"],
        ["seed=1,${epochs}", "epochs=3,4"],
        ["data.augment.crop=1,2", "data.augment={flip: true}"],
        ["data.augment={crop: 3},{crop: 4}", "seed=0,1"],
        ["evaluate={every_steps: 3}", "evaluate.every_epochs=1,2"],
        ["optim.betas=[0.5,0.9],[0.1,0.2]", "seed=1,2"],
        ["optim.name=adamw,adam", "seed=1,2"],
        ["optim=sgd,adam", "optim.momentum=0.1,0.2"],
        ["model.in_channels=3,1", "seed=0,1"],
        ["data=csv", "data.path=a,b", "data.target=y", "seed=0,1"],
        ["data=csv", "seed=0,1"],
        ["name=a,b", "output=x,y"],
        ["from=a,b", "data.batch_size=1,2", "seed=0,1"],
        ["model.dropout=0.0,-0.0,0,false", "clip_norm=1,1.0,true"],
        ["experiment=mnist_lenet,line", "optim.lr=0.1,0.2"],
        ["checkpoint.every_minutes=null,nan", "plots=true,True,1,0,no"],
        ["tensorboard=3,4"],
        ["seed=range(2)", "optim.lr=range(0.1,0.4,0.1)", "optim.weight_decay=choice(0,1e-4)"],
        ["~optim", "+optim.name=sgd,adam", "optim.lr=1,2"],
        ["objective='???',x", "seed=0,1"],
        ["data.limit=1,2", "sweep.dry_run=true", "sweep=batched"],
    ],
    ids=" ".join,
)
def test_a_job_is_what_composing_and_checking_it_as_a_whole_gives(overrides: list[str]) -> None:
    _, words, found = sweep(*overrides)
    asked = [[word for word in job if not word.lstrip("+").startswith(("sweep", "search"))] for job in words]
    for whole, typed, job in zip(words, asked, found, strict=True):
        expected = alone(whole)
        held_out = [word for word in job.typed if word == HOLDING_OUT and word not in whole]
        assert expected.config is None or held_out == [word for word in expected.typed if word == HOLDING_OUT]
        expected.typed = [word.lstrip("+") for word in typed if not word.startswith("~")] + held_out
        if expected.config is not None:
            expected.config.typed = expected.typed
        assert shown(job) == shown(expected)


def keys(cls: Any = Train, above: str = "") -> Iterator[tuple[str, Any]]:
    """All keys that a training with the default choices has, with their defaults."""
    sections = {"model": "lenet", "data": "digits", "optim": "auto", "scheduler": "step", "loss": "auto"}
    for field in dataclasses.fields(cls):
        name = above + public(field.name)
        inner = registry.section(field.name, sections[field.name]) if not above and field.name in sections else None
        if field.default_factory is not dataclasses.MISSING and dataclasses.is_dataclass(field.default_factory):
            inner = field.default_factory
        if inner is not None:
            yield from keys(inner, f"{name}.")
        elif name.split(".")[0] not in (*registry.OF_A_SWEEP, *registry.BESIDE):
            yield name, field.default


VALUES = [
    *(
        0,
        1,
        2,
        17,
        -1,
        0.5,
        1.0,
        1e-3,
        -0.0,
        1e308,
        "nan",
        "inf",
        "true",
        "false",
        "null",
        "''",
        "text",
        "'1'",
        "'a b'",
    ),
    *(
        "auto",
        "val",
        "off",
        "float32",
        "[0.1,0.2]",
        "[]",
        "{}",
        "{a: 1}",
        "${seed}",
        "${nope}",
        "'${oc.env:HOME}'",
        "???",
    ),
]


@pytest.mark.parametrize("seed", range(8))
def test_any_values_of_any_keys_give_the_same_as_a_whole(seed: int) -> None:
    """Some of the jobs are taken over, some have a mistake in what differs, or in something else, and some in both."""
    rng = random.Random(seed)
    known = dict(keys())
    single = Jobs(arguments.read("train", ["-m", "scheduler=step"]))
    for _ in range(6):
        chosen = rng.sample(sorted(known), rng.randint(1, 3))
        values = {key: [str(v) for v in rng.sample(VALUES, 3)] for key in chosen}
        if rng.random() < 0.7:  # mostly what is right
            values = {k: [v for v in vs if _is_right(single, k, v)] or ["null"] for k, vs in values.items()}
        # Hydra itself cannot set a dictionary where a list is.
        lists = {k for k in values if known[k] is dataclasses.MISSING}
        values |= {k: [v for v in values[k] if not v.startswith("{")] or ["null"] for k in lists}
        jobs, words, found = sweep("scheduler=step", *(f"{key}={','.join(v)}" for key, v in values.items()))
        for whole, job in zip(words, found, strict=True):
            cfg, choices = jobs.composed(jobs.job(whole))
            try:
                expected = Asked(job.typed, check("train", cfg, job.typed, choices))
            except TrainerError as error:
                expected = Asked(job.typed, None, error)
            assert shown(job) == shown(expected), whole


def _is_right(single: Jobs, key: str, value: str) -> bool:
    try:
        check("train", single.composed(single.job(["scheduler=step", f"++{key}={value}"]))[0], [], {})
    except TrainerError:
        return False
    return True


def test_jobs_share_nothing_that_a_training_changes() -> None:
    _, _, found = sweep("model=mlp", "data=diabetes", "seed=0,1,2", "optim.lr=0.1,0.2")
    configs = [job.config for job in found]
    before = [config.to_yaml() for config in configs if config is not None]
    first = configs[0]
    assert first is not None
    first.fill_data({"features": 10, "outputs": 1})
    first.change("plots", False)
    for config, text in zip(configs[1:], before[1:], strict=True):
        assert config is not None
        assert config.to_yaml() == text
        assert config.data.features is None


def test_a_job_that_comes_later_is_not_like_one_that_has_been_trained() -> None:
    jobs = Jobs(arguments.read("train", ["-m", "data=csv", "data.path=a", "data.target=y", "seed=0,1"]))
    asking = Asking(jobs)
    first, second = jobs.combinations()
    trained = asking(first).config
    assert trained is not None
    trained.fill_data({"features": 7, "outputs": 2, "num_classes": 2, "size": 28, "channels": 1})
    assert shown(asking(second)) == shown(alone(second.words))


# --- choices of several groups ---------------------------------------------------------------------------------


def yaml(words: tuple[str, ...]) -> tuple[str, list[tuple[str, str]]]:
    cfg, choices = compose("train", words)
    return OmegaConf.to_yaml(cfg), list(choices.items())


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What Hydra is asked to compose."""
    from trainer.config import combining

    asked: list[tuple[str, ...]] = []

    def counted(name: str, words: tuple[str, ...]) -> Any:
        asked.append(words)
        return compose(name, words)

    monkeypatch.setattr(combining, "compose", counted)
    return asked


def combined(*overrides: str) -> Iterator[tuple[tuple[str, ...], tuple[str, list[tuple[str, str]]]]]:
    jobs = Jobs(arguments.read("train", ["-m", *overrides]))
    for job in jobs.combinations():
        cfg, choices = jobs.composed(job)
        yield job.choosing, (OmegaConf.to_yaml(cfg), list(choices.items()))


@pytest.mark.parametrize("more", [[], ["experiment=cifar_lenet_best"], ["~experiment"]], ids=str)
def test_choices_of_several_groups_are_put_together(count: list[Any], more: list[str]) -> None:
    choices = ["model=mlp,lenet5", "optim=sgd,adam,rmsprop", "scheduler=cosine,plateau"]
    found = list(combined(*choices, *more))
    assert len(found) == 12
    assert len(count) == 1 + 1 + 1 + 2 + 1  # what they share, the first, and one for each further choice
    for words, got in found[3::4]:
        assert got == yaml(words)


@pytest.mark.parametrize(
    ("overrides", "alone"),
    [
        (["model=mine,other", "optim=mine,sgd"], 3),
        (["model=mine,mlp", "optim=mine,sgd", "experiment=plain"], 3),
        (["model=global,mine", "optim=mine,sgd"], 4),
        (["scheduler=step,override", "optim=mine,sgd"], 4),
        (["scheduler=constant,cosine", "optim=sgd,picks"], 4),
        (["scheduler=constant,cosine", "optim=sgd,adam", "model=picks"], 4),
        (["model=mine,other", "optim=sgd,copies"], 3),
        (["model=mine,mlp", "experiment=plain,line"], 4),
    ],
    ids=str,
)
def test_what_brings_more_than_its_section_is_left_to_hydra(count: list[Any], overrides: list[str], alone: int) -> None:
    found = list(combined(*overrides))
    assert len({words for words in count if len(words) == len(overrides)}) == alone
    for words, got in found:
        assert got == yaml(words)


def test_where_a_copy_of_another_section_is_merged_into_hydra_composes_all() -> None:
    """OmegaConf puts a copy of what `${...}` leads to in its place, before something is merged into it."""
    for words, got in combined("model=one,two", "optim=sgd,copied", "experiment=merges"):
        assert got == yaml(words)


def test_every_pair_of_our_choices_can_be_put_together(count: list[Any]) -> None:
    """Each file of ours brings its own section and nothing else."""
    groups = {g: sorted(p.stem for p in (CONFIGS / g).glob("*.yaml")) for g in ("optim", "scheduler")}
    list(combined(*(f"{group}={','.join(names)}" for group, names in groups.items())))
    assert len(count) == 1 + len(list(itertools.chain(*groups.values()))) - 1
