"""More than a command line, a sweep or a key can be is one line, at once."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from conftest import Trainer
from omegaconf import OmegaConf
from test_alike import keys

from trainer.cli import arguments, limits
from trainer.cli.jobs import Jobs
from trainer.config import composition
from trainer.config.check import check
from trainer.config.swept import MOST
from trainer.system.errors import ConfigError


def lines(trainer: Trainer, *args: str) -> list[str]:
    """What `trainer ARGS...` says, which is refused in one or two lines."""
    ran = trainer(*args)
    assert ran.code == 2, ran.err
    found = ran.err.splitlines()
    assert 1 <= len(found) <= 2
    assert all(len(line) < 1100 for line in found)
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=1"] * 1001, "error: a command line of 1,001 words: it may have 1,000"),
        (["x" * 20_001], f"error: {'x' * 40}... has 20,001 characters: it may have 20,000"),
        (["a" * 201 + "=1"], f"error: {'a' * 40}... is too long a key"),
        ([".".join("a" * 22) + "=1"], f"error: {'a.' * 20}... is too long a key"),
        (["x=" + "[" * 60_000], f"error: x={'[' * 38}... has 60,002 characters: it may have 20,000"),
        (["x=" + "[" * 51 + "]" * 51], f"error: x={'[' * 38}... has brackets 51 deep: they may be 50 deep"),
        (["x=" + "${" * 51 + "a" + "}" * 51], f"error: x={'${' * 19}... has brackets 51 deep: they may be 50 deep"),
        (["optim.betas=[" + "1," * 1500 + "1]"] * 2, "error: lists of 3,000 values: they may have 2,000"),
        (["seed=" + "9" * 400], f"error: seed={'9' * 35}...: the number has too many digits"),
        (["seed=" + "9_" * 400], f"error: seed={'9_' * 17}9...: the number has too many digits"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_too_much_of_a_command_line_is_refused(trainer: Trainer, words: list[str], said: str) -> None:
    assert lines(trainer, "train", *words)[0] == said


@pytest.mark.parametrize(
    "words",
    [
        ["x=1"] * 1000,
        ["x=" + "y" * 19_998],
        ["a" * 200 + "=1"],
        ["x=" + "[" * 50 + "]" * 50, "x=" + "[]" * 100 + "]" * 60],
        ["x=[" + "1," * 2000 + "1]", "seed=" + "1," * 5000 + "1"],
        ["seed=" + "9" * 399],
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_people_type_is_within_the_limits(words: list[str]) -> None:
    limits.check(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=range(1000000)"], f"error: a sweep of 1,000,000 jobs: it may have {MOST:,}"),
        (
            ["seed=range(1,1000000000000000000)"],
            "error: a sweep of 999,999,999,999,999,999 jobs: it",
        ),
        (["seed=range(1000)", "epochs=range(1,1001)"], f"error: a sweep of 1,000,000 jobs: it may have {MOST:,}"),
        (["optim.lr=range(0,1,1e-300)"], f"error: a sweep of more than 10^300 jobs: it may have {MOST:,}"),
        (["optim.lr=range(0,inf)"], "error: optim.lr=range(0,inf): the range has no end"),
        (["optim.lr=range(nan,1)"], "error: optim.lr=range(nan,1): the range has no end"),
        (["seed=range(0,9,0)"], "error: seed=range(0,9,0): the range has no end"),
        (["search=optuna", "model.dropout=range(0,1,1e-12)"], "too many values for a range"),
        (["search=optuna", "epochs=range(1,1000000000000000000)"], "too many values for a range"),
        (["search=optuna", f"epochs=int(interval(1,{'9' * 50}))"], "error: epochs"),
        (["search=optuna", f"epochs=interval(1,{'9' * 50})"], "error: epochs=5"),
    ],
    ids=str,
)
def test_a_sweep_of_too_many_jobs_is_counted_and_refused(trainer: Trainer, words: list[str], said: str) -> None:
    assert said in lines(trainer, "train", "-m", *words, "sweep.dry_run=true")[0]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (["range(5)"], 5),
        (["range(9,1)"], 0),
        (["range(9,1,-2)"], 4),
        (["range(0,1,0.1)"], 10),
        (["range(0.5,3)", "1,2,3", "x"], 9),
        (["choice(1,2)", "shuffle(range(3))", "a"], 6),
    ],
    ids=str,
)
def test_the_count_of_jobs_is_that_of_the_combinations(empty: Path, values: list[str], count: int) -> None:
    with composition.ready():
        jobs = Jobs(arguments.read("train", ["-m", *(f"x{place}={value}" for place, value in enumerate(values))]))
        assert jobs.count == len(list(jobs.combinations())) == count


@pytest.mark.parametrize(
    "word",
    [
        *("model=null", "experiment=null", "+=1", "=1", "=", "~", "model=..", "model=../x", "a..b=1", "seed=1e400"),
        *(f"model={'x' * 5000}", f"optim.lr={'9' * 350}", f"data.limit={'9' * 350}", "data.limit=1e400", "a\nb=1"),
        *("model.hidden=${model.hidden}", "seed=${seed}", f"name='{'${' * 50}a{'}' * 50}'", "seed=${oc.env:NOPE_NOT}"),
        *("\udcff=1", "optim.\udcff=1", "op\x1btim=1", "seed=1\n2", f"from={'x' * 5000}", f"output={'x' * 300}"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_override_is_one_line(trainer: Trainer, word: str) -> None:
    lines(trainer, "train", "model=mlp", word, "data=diabetes", "epochs=1", "plots=false")


@pytest.mark.parametrize("words", [["resume"], ["eval", "ckpt="], ["train", "from="], ["train", "output="]], ids=str)
def test_a_name_that_no_file_can_have_is_one_line(trainer: Trainer, words: list[str]) -> None:
    *verb, key = words if len(words) > 1 else [*words, ""]
    assert "file name too long" in lines(trainer, *verb, f"{key}{'x' * 700}")[0].lower()


def test_a_link_that_leads_to_itself_is_one_line(trainer: Trainer, empty: Path) -> None:
    (empty / "link").symlink_to("link")
    assert "link: " in lines(trainer, "resume", "link")[0]


def test_a_config_that_cannot_be_read_is_one_line(trainer: Trainer, empty: Path) -> None:
    (empty / "configs" / "model").mkdir(parents=True)
    deep = empty / "configs" / "model" / "deep.yaml"
    deep.write_text("name: mlp\nx: " + "[" * 2000 + "]" * 2000)
    lines(trainer, "train", "model=deep")
    deep.write_text("name: mlp\nhidden: " + "9" * 5000)
    lines(trainer, "train", "model=deep")
    deep.write_text("name: mlp\nhidden: 0x" + "f" * 5000)
    assert "out of range" in lines(trainer, "train", "model=deep")[0]


# --- what the keys refuse -----------------------------------------------------------------------------------

ABSURD: list[Any] = [
    *(float("inf"), float("-inf"), float("nan"), 1e308, -1e308, 5e-324, -1, 0, 2**31, 2**63, -(2**63) - 1, 10**5000),
    *(
        "",
        " ",
        "\0",
        "\ud800",
        "\x1b[2J",
        "x" * 10**5,
        "1" * 10**5,
        "9" * 400,
        "1e999",
        "inf",
        "-0",
        "0x10",
        "1_0",
        "???",
    ),
    *(
        [],
        {},
        [[]],
        [{}],
        {"a": {}},
        [None],
        [1] * 100,
        [10**5000],
        {"a" * 1000: 1},
        None,
        True,
        b"\0",
        ["\0"],
        ["???"],
    ),
    *("${nope}", "${oc.env:NOPE}", "${seed}", "${oc.env:HOME}", "${" * 60, "${a:", "\\${seed}", "${seed}${seed}"),
    *(["${nope}"], {"a": "${nope}"}, "${.}", "${..}", "${data}", "${model.name}", "${oc.decode:'['}", "${hydra:nope}"),
]


@pytest.fixture(scope="module")
def configs() -> dict[str, Any]:
    with composition.ready():
        return {verb: composition.compose(verb, words) for verb, words in (("train", ["scheduler=step"]), ("eval", []))}


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: type(value).__name__)
def test_any_value_of_any_key_is_taken_or_refused(configs: dict[str, Any], value: Any) -> None:
    cfg, choices = configs["train"]
    for key, _ in keys():
        changed = OmegaConf.create(OmegaConf.to_container(cfg))
        try:
            OmegaConf.update(changed, key, value, merge=False, force_add=True)
        except Exception:  # composing refuses it, which `explained` tells
            with pytest.raises(ConfigError), composition.explained():
                OmegaConf.update(changed, key, value, merge=False, force_add=True)
            continue
        with contextlib.suppress(ConfigError):
            found = check("train", changed, [f"{key}=..."], choices)
            found.digest()
            found.fill_data({})
