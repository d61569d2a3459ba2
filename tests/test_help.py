"""`trainer --help`, `trainer VERB --help` and `trainer help`: what they say, and that it fits the terminal."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import Trainer

from trainer.cli import pages
from trainer.config import index, registry
from trainer.config.choices import group_choices

PARTS = ("Data", "Model", "Optimizer, schedule and loss", "Training", "Output", "Sweeps, with -m", "Recipes", "Flags")
TOPICS = ("optim.lr", "lr", "data", "model=mlp", "early_stopping", "experiment=mnist_lenet", "learning")


def together(text: str) -> str:
    """A page without its line breaks."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves of its config: what was typed, and what was composed and chosen by auto."""
    place = tmp_path_factory.mktemp("run")
    values = {group: {"name": "auto"} for group in registry.GROUPS}
    values["optim"] = {"name": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": "\x1b[2J"}
    (place / "config.yaml").write_text(yaml.safe_dump({**values, "epochs": 20, "seed": 3}))
    (place / "overrides.yaml").write_text("- 'experiment=line'\n- 'seed=3'\n- 'optim.lr=0.01'\n- 'model=nowhere'\n")
    return place


EVERY = [("--help",), *((verb, "--help") for verb in registry.verbs()), *(("help", topic) for topic in TOPICS)]


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        *(([("--help",), ("serve", "--help"), ("help", "lr")], columns) for columns in (60, 80, 120, 200)),
        *(pytest.param(EVERY, columns, marks=pytest.mark.slow) for columns in (60, 80)),
    ],
)
def test_help_fits_the_terminal(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in asked:
        assert max(map(len, trainer(*words).out.splitlines())) <= columns, words


def test_help_in_a_pipe_is_80_columns_wide_and_has_no_colours(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    ran = trainer("train", "--help")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out


def test_a_command_that_is_too_long_is_broken_as_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    command = "echo trainer runs runs/sweeps runs.where='optim.lr>0.01 and test/accuracy>=0.9' runs.sort=test/accuracy"
    page = pages.Page()
    page.code([f"{command}     the best"])
    *broken, remark = str(page).splitlines()
    assert len(broken) == 3
    assert remark.strip() == "the best"
    said = subprocess.run(["sh", "-c", "\n".join(broken)], capture_output=True, text=True, timeout=20)
    assert said.stdout.split() == command.replace("'", "").split()[1:]


def test_headings_are_coloured_on_a_terminal_unless_nobody_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    page = pages.Page()
    page.heading("Data")
    page.rows([("data=digits", "digits")])
    assert str(page).splitlines()[0] == "\x1b[1;36mData\x1b[0m"
    assert re.sub(r"\x1b\[[\d;]*m", "", str(page)) == "Data\n  data=digits  digits"
    monkeypatch.setenv("NO_COLOR", "1")
    page = pages.Page()
    page.heading("Data")
    assert str(page) == "Data"


def test_help_of_a_training_has_what_people_set_most_first(trainer: Trainer) -> None:
    out = trainer("train", "--help").out
    lines = out.splitlines()
    assert [line for line in lines if line in PARTS] == list(PARTS)
    shown = together(out)
    for key in index.keys("train", {"model": "lenet", "data": "digits", "optim": "auto"}):
        section = key.name.rpartition(".")[0]
        from_data = (key.group in ("model", "data") and key.has("private")) or key.required
        assert key.typed in shown or f"{section}.*" in shown or from_data or key.is_group, key.name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=mlp"], ["model=mlp", "model.hidden=64", "model.activation=relu", "sigmoid, relu, tanh, gelu, silu"]),
        (["optim=sgd", "optim.lr=0.25"], ["optim=sgd", "optim.lr=0.25", "optim.momentum=0.0"]),
        (["experiment=line"], ["experiment=line", "model=linear", "data=line", "epochs=1000"]),
        (["data=table"], ["data.path=...", "data.target=...", "data.test_fraction=0.2"]),
        (["-m", "search=optuna"], ["search.trials=20"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_help_has_the_keys_of_what_is_chosen(trainer: Trainer, words: list[str], said: list[str]) -> None:
    ran = trainer("train", *words, "--help")
    assert ran.code == 0
    for text in said:
        assert text in together(ran.out)


def test_help_has_the_keys_of_a_class_of_the_users_own(trainer: Trainer, empty: Path) -> None:
    own = empty / "configs" / "model"
    own.mkdir(parents=True)
    (own / "mynet.yaml").write_text("# My own.\n_target_: mynet.Net\nwidth: 7\n")
    out = together(trainer("train", "model=mynet", "--help").out)
    assert "model=mynet My own." in out
    assert "model._target_=mynet.Net model.width=7" in out


def test_help_explains_an_argument_of_a_class_of_the_users_own(trainer: Trainer, empty: Path) -> None:
    own = empty / "configs" / "model"
    own.mkdir(parents=True)
    (own / "mynet.yaml").write_text("# My own.\n_target_: mynet.Net\nwidth: 7\n")
    for topic in ("width", "model.width"):
        out = together(trainer("help", topic, "model=mynet").out)
        assert "model.width an argument of mynet.Net, of your own" in out
        assert "here 7, from configs/model/mynet.yaml" in out
    assert "here 9, typed" in together(trainer("help", "width", "model=mynet", "model.width=9").out)


def test_help_shows_no_variable_of_other_programs(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("TRAINER_DATA", "/data/here")
    own = empty / "configs" / "model"
    own.mkdir(parents=True)
    (own / "mynet.yaml").write_text("_target_: mynet.Net\nwidth: ${oc.env:SECRET,1}\n")
    out = trainer("train", "model=mynet", "data=mnist", "--help").out
    assert "hunter2" not in out
    assert "data.root=/data/here" in out


def test_help_helps_also_where_the_rest_is_wrong(trainer: Trainer) -> None:
    ran = trainer("train", "model=lenett", "--help")
    assert ran.code == 0
    assert "model=lenett: no such config" in ran.out
    assert "model=lenet " in ran.out


@pytest.mark.parametrize(
    "words", [("help", "--help"), ("help", "help"), ("help", "completion"), ("completion", "--help")], ids=" ".join
)
def test_help_explains_itself_and_completion(trainer: Trainer, words: tuple[str, ...]) -> None:
    ran = trainer(*words)
    assert ran.code == 0
    assert f"  trainer {'completion' if 'completion' in words else 'help'} " in ran.out
    assert len(ran.out.splitlines()) > 3


EXPLAINED = [
    (["lr"], ["optim.lr", "type float or auto", "limits above 0", "default auto, with optim=auto", "adamw"]),
    (["lr", "optim=sgd", "optim.lr=3"], ["default 0.01, with optim=sgd", "here 3, typed"]),
    (["lr", "experiment=mnist_lenet"], ["here 0.005, from trainer's configs/experiment/mnist_lenet.yaml"]),
    (["hidden"], ["model.hidden", "here not there: it needs model=mlp"]),
    (["eval", "split"], ["one of auto, test, val, train, all"]),
    (["early_stopping"], ["early_stopping.patience=null", "early_stopping.min_delta=0.0"]),
    (["data"], ["digits", "Here: data=digits, from trainer's configs/train.yaml", "data.batch_size=64"]),
    (["model=mlp"], ["A perceptron", "file trainer's configs/model/mlp.yaml", "model.in_features=(data)"]),
    ([], ["trainer completion install", *registry.verbs()]),
]
MORE_EXPLAINED = [
    (["lr", "optim=sgd"], ["here 0.01, the default"]),
    (["optim.lr=3", "optim=sgd"], ["here 3, typed"]),
    (["data.val_fraction", "data=line"], ["here 0, from trainer's configs/data/line.yaml"]),
    (["augment", "data.augment=light"], ["data.augment", "one of none, light, standard, strong", "light, typed"]),
    (["model.in_channels"], ["here taken from the data"]),
    (["device"], ["resume may change it", "verbs train, eval"]),
    (["eval.best"], ["type int or null", "limits at least 1"]),
    (["ckpt"], ["typed as trainer eval CKPT, or ckpt=..."]),
    (["-m"], ["a job for each combination"]),
    (["--json"], ["typed as --json"]),
    (["min_lr"], ["scheduler.min_lr", "with scheduler=cosine", "here not there"]),
    (["mlp"], ["model=mlp", "model.hidden=64"]),
    (["experiment"], group_choices("experiment")),
    (["experiment=line"], ["slope 1.9700", "trainer train experiment=line"]),
    (["learning_rate"], ["optim.lr", "type float or auto"]),  # what other programs call it
    (["batch"], ["data.batch_size"]),
    (["learning"], ["optim.lr=", "scheduler.warmup_steps=0"]),
    (["eval"], ["trainer eval RUN [key=value ...]", "eval.best=null"]),
    (["train", "model=mlp"], ["model.hidden=64"]),
]


@pytest.mark.parametrize(
    ("words", "said"),
    [*EXPLAINED, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_EXPLAINED)],
    ids=lambda words: " ".join(words),
)
def test_help_explains(trainer: Trainer, words: list[str], said: list[str]) -> None:
    ran = trainer("help", *words)
    for text in said:
        assert text in together(ran.out + ran.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optim.lrr"], "did you mean 'optim.lr'?"),
        (["momentun"], "did you mean 'momentum'?"),
        (["model=lenett"], "did you mean 'lenet'?"),
        (["lr", "nowhere"], "no such directory"),
        (["lr", "a", "b"], "two runs"),
        (["lr", "optim=sgdd"], "did you mean 'sgd'?"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_help_of_what_is_not_there_is_a_line_or_two(trainer: Trainer, words: list[str], said: str) -> None:
    ran = trainer("help", *words)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("optim.lr", "in the run 0.01, typed when it was started"),
        ("seed", "in the run 3, typed when it was started"),
        ("momentum", "in the run 0.9"),
        ("optim.nesterov", r"in the run \x1b[2J"),
        ("optim", "In the run: sgd"),
    ],
)
def test_help_says_what_a_key_was_in_a_run(trainer: Trainer, run: Path, key: str, said: str) -> None:
    ran = trainer("help", key, str(run))
    assert ran.code == 0, ran.err
    assert said in together(ran.out)


def test_help_says_which_file_gave_a_run_its_value(trainer: Trainer, run: Path, empty: Path) -> None:
    place = empty / "run"
    place.mkdir()
    (place / "config.yaml").write_text((run / "config.yaml").read_text())
    (place / "overrides.yaml").write_text("- 'experiment=line'\n")
    assert "in the run 0.01, from trainer's configs/experiment/line.yaml" in together(trainer("help", "lr", "run").out)
    assert "in the run 20" in together(trainer("help", "epochs", "run").out)
    (place / "overrides.yaml").write_text("- 'optim=sgd'\n")
    assert "in the run 20, which auto became" in together(trainer("help", "epochs", "run").out)


def test_help_takes_the_words_for_a_run_that_verbs_take(trainer: Trainer, run: Path, empty: Path) -> None:
    place = empty / "runs" / "line" / "2026-01-31_12-00-00"
    place.mkdir(parents=True)
    for name in ("config.yaml", "overrides.yaml"):
        (place / name).write_text((run / name).read_text())
    out = together(trainer("help", "lr", "latest").out)
    assert "in the run 0.01, typed when it was started (latest is taken as runs/line/2026-01-31_12-00-00" in out
    Path("sweep").mkdir()
    Path("sweep", "sweep.jsonl").touch()
    ran = trainer("help", "lr", "sweep")
    assert (ran.code, len(ran.err.splitlines()) <= 2) == (2, True)
