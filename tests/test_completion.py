"""Tab completion: what is offered, how it is written in each shell, and that no shell runs a name of a file."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Trainer
from terminals import Terminal, needs, program

from trainer.cli import bash
from trainer.cli.candidates import candidates
from trainer.cli.shells import SCRIPTS
from trainer.config import choices, index, registry
from trainer.config.composition import compose, ready
from trainer.config.written import plain

HOSTILE = ("a$(touch ran).pt", "a`touch ran`.pt", "a;touch ran.pt", "a$IFS.pt", "a\x1b[2J.pt", "a\nb.pt", "it's a.pt")
INIT = {"model.init=", "model.init_gain=", "model.init_bias="}  # keys of any model


def offered(line: str) -> set[str]:
    """The words that may stand in the place of the last of a line."""
    *before, word = line.split(" ")[1:]
    return {found.word for found in candidates(before, word)}


@pytest.fixture
def files(empty: Path) -> Path:
    """A folder with runs, a sweep, checkpoints and data."""
    for run in ("runs/mlp_digits/2026-01-01_10-00-00", "runs/mlp_digits/2026-01-02_10-00-00", "elsewhere/run"):
        Path(run, "checkpoints").mkdir(parents=True)
        Path(run, "config.yaml").touch()
        Path(run, "checkpoints", "best.pt").touch()
    Path("runs/sweeps/sweep/2026-01-03_10-00-00").mkdir(parents=True)
    Path("runs/sweeps/sweep/2026-01-03_10-00-00/sweep.jsonl").touch()
    Path("photos").mkdir()
    for name in ("net.pt", "table.csv", ".hidden.pt"):
        Path(name).touch()
    return empty


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trainer ", {*registry.verbs(), "help", "completion", "--help", "--version"}),
        ("trainer tr", {"train"}),
        ("trainer train mod", {"model=", "model."}),
        ("trainer train exp", {"experiment="}),
        ("trainer train model=", {f"model={choice}" for choice in choices.group_choices("model")}),
        ("trainer train +mod", {"+model=", "+model."}),
        ("trainer train epo", {"epochs="}),
        ("trainer train epochs=", {"epochs=auto"}),
        ("trainer train plots=", {"plots=true", "plots=false"}),
        ("trainer train precision=b", {"precision=bfloat16"}),
        ("trainer train data.augment=s", {"data.augment=standard", "data.augment=strong"}),
        ("trainer train data.augment.pre", {"data.augment.preset="}),
        ("trainer train data.val_fraction=", {"data.val_fraction=auto"}),
        ("trainer train optim=sgd optim.mo", {"optim.momentum="}),
        ("trainer train optim.mo", set()),  # the default has none
        ("trainer train experiment=line model.", {"model.in_features=", "model.out_features=", *INIT}),
        ("trainer train experiment=line model=mlp model.h", {"model.hidden="}),
        ("trainer train model=mlp model.activation=g", {"model.activation=gelu"}),
        ("trainer train -m optim=sgd,adam", {"optim=sgd,adam", "optim=sgd,adamw"}),
        ("trainer train evaluate.every_", {"evaluate.every_steps=", "evaluate.every_epochs="}),
        ("trainer train device=c", {"device=cpu", "device=cuda"}),
        ("trainer eval sp", {"split="}),
        ("trainer eval split=t", {"split=test", "split=train"}),
        ("trainer runs --j", {"--json"}),
        ("trainer train --cfg ", {"job", "hydra", "all"}),
        ("trainer train --config-dir p", {"photos/"}),
        ("trainer help optim.lr", {"optim.lr", "optim.lr_decay"}),
        ("trainer help model=ml", {"model=mlp"}),
        ("trainer completion ", {"install", "bash", "zsh", "fish"}),
        ("trainer eval ckpt=n", {"ckpt=net.pt"}),
        ("trainer eval lat", {"latest"}),
        ("trainer new mo", {"model"}),
        ("trainer config epo", {"epochs="}),
        ("trainer config optim.mo", set()),
        ("trainer train --config ./t", {"./table.csv"}),
        ("trainer train data=./p", {"data=./photos/"}),
        ("trainer eval ./", {"./net.pt", "./runs/", "./photos/", "./elsewhere/"}),
        ("trainer eval elsewhere/", {"elsewhere/run"}),
        ("trainer eval runs/mlp_digits/2026-01-01_10-00-00/checkpoints/", {
            "runs/mlp_digits/2026-01-01_10-00-00/checkpoints/best.pt"
        }),
        ("trainer train from=runs/sw", {"from=runs/sweeps/"}),
        ("trainer train data=csv data.path=t", {"data.path=table.csv"}),
        ("trainer train output=", {"output=runs/", "output=photos/", "output=elsewhere/"}),
        ("trainer trian mod", set()),
        ("trainer train nothing.", set()),
        ("trainer train nothing=", set()),
        ("trainer train model=nothing model.", set()),
        ("trainer train 'op", set()),
    ],
)  # fmt: skip
def test_completion_offers(files: Path, line: str, words: set[str]) -> None:
    assert offered(line) == words


def test_the_newest_runs_come_first_where_nothing_was_typed(files: Path) -> None:
    latest, first, second, third, *_ = (found.word for found in candidates(["eval"], ""))
    assert latest == "latest"
    assert first == "runs/sweeps/sweep/2026-01-03_10-00-00"
    assert second == "runs/mlp_digits/2026-01-02_10-00-00"
    assert third == "runs/mlp_digits/2026-01-01_10-00-00"
    assert "model=" in offered("trainer eval ")
    assert "from=runs/mlp_digits/2026-01-02_10-00-00" in offered("trainer train from=")


def test_completion_offers_the_users_own_choices_and_their_keys(empty: Path) -> None:
    (empty / "configs" / "model").mkdir(parents=True)
    (empty / "configs" / "model" / "mynet.yaml").write_text("# Mine.\n_target_: mynet.Net\nwidth: 3\n")
    (empty / "configs" / "model" / "wide.yaml").write_text("# Wide.\ndefaults:\n  - mlp\n  - _self_\nhidden: 999\n")
    (empty / "configs" / "metric").mkdir()
    (empty / "configs" / "metric" / "mine.yaml").write_text("_target_: mine.metric\n")
    assert offered("trainer train metrics=f1,m") == {"metrics=f1,mae", "metrics=f1,mse", "metrics=f1,mine"}
    assert offered("trainer train model=my") == {"model=mynet"}
    assert offered("trainer train model=mynet model.") == {"model.width=", *INIT}
    assert "model.hidden=" in offered("trainer train model=wide model.")


@pytest.mark.slow
def test_what_a_choice_has_is_found_without_composing_it() -> None:
    """The oracle is Hydra."""
    for group in registry.GROUPS:
        for choice in choices.group_choices(group):
            words = [f"{group}={choice}"]
            with ready():
                composed = plain(compose("train", words)[0])
            assert choices.sections("train", words) == {name: composed[name]["name"] for name in registry.GROUPS}


@pytest.mark.parametrize("verb", registry.verbs())
def test_what_a_verb_has_by_default_is_found_without_composing_it(verb: str, empty: Path) -> None:
    with ready():
        cfg, chosen = compose(verb, [])
    found = choices.defaults(verb)
    assert found is not None
    assert found[0] == plain(cfg)
    assert found[1] == {group: choice for group, choice in chosen.items() if not group.startswith("hydra/")}
    (empty / "configs").mkdir()
    assert choices.defaults(verb) is None


@pytest.mark.slow
def test_what_a_recipe_chooses_is_found_without_composing_it() -> None:
    for choice in choices.group_choices("experiment"):
        with ready():
            composed = plain(compose("train", [f"experiment={choice}"])[0])
        found = choices.sections("train", [f"experiment={choice}"])
        assert found == {name: composed[name]["name"] for name in registry.GROUPS}


def test_every_key_and_every_value_that_is_known_is_offered() -> None:
    for verb in registry.verbs():
        for key in index.of_verb(verb):
            above = key.name.rpartition(".")[0]
            assert f"{key.name}=" in offered(f"trainer {verb} {above}{'.' if above else ''}")
            assert {f"{key.name}={value}" for value in key.values} <= offered(f"trainer {verb} {key.name}=")


@pytest.mark.parametrize("line", ["trainer train model=", "trainer eval ckpt=a", "trainer eval a", "trainer help "])
def test_what_is_offered_steers_no_terminal(empty: Path, line: str) -> None:
    (empty / "configs" / "model").mkdir(parents=True)
    for name in HOSTILE:
        Path(name).touch()
        Path("configs", "model", f"{name}.yaml").write_text("# \x1b[2J\n_target_: x\n")
    *before, word = line.split(" ")[1:]
    found = candidates(before, word)
    assert found
    assert all(one.word.isprintable() and one.about.isprintable() for one in found)


# --- bash's way to write a word -------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["", "'", '"'])
@pytest.mark.parametrize("key", ["", "ckpt=", "ckpt=some\\ where/"])
@pytest.mark.parametrize(
    "name", [*filter(str.isprintable, HOSTILE), "плоский.pt", "a=b:c.pt", "~a", "a!b", "*?[x]", "#a", "{a,b}", "\\"]
)
def test_bash_reads_a_word_as_it_was_meant(start: str, key: str, name: str) -> None:
    """The oracle is bash itself, which gets the line that the completion makes."""
    typed = f"{start}{key}" if not (start and "\\" in key) else f"{start}ckpt=some where/"
    line = bash.read(f"trainer eval {typed}", bash.BREAKS)
    assert line.words[:-1] == ["trainer", "eval"]
    whole = line.words[-1] + name
    text = bash.written(whole, line, ends=False)
    if text is None:
        assert set(name) & set("'!")
        return
    end = 0  # of what readline leaves where it is
    while bash.read(f"trainer eval {typed[:end]}", bash.BREAKS).words[-1] != whole[: line.kept]:
        end += 1
    result = f"{typed[: end + bool(start)]}{text}{start}" if start else f"{typed[:end]}{text}"
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {result}"], capture_output=True, timeout=20).stdout
    assert said.decode().split("\0")[:-1] == [whole.replace("~", str(Path.home()), 1) if whole == "~" else whole]


# --- installing ------------------------------------------------------------------------------------------


@pytest.fixture
def home(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = empty / "my home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.mark.parametrize("shell", SCRIPTS)
def test_completion_is_installed_once_and_leaves_the_rest_of_a_file_alone(
    trainer: Trainer, home: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    start = home / f".{shell}rc"
    start.write_text("alias x=y")
    for _ in range(2):
        ran = trainer("completion", "install")
        assert (ran.code, ran.err) == (0, "")
        assert f"tab completion for {shell}" in ran.out
    lines = start.read_text().splitlines()
    assert lines[0] == "alias x=y"
    assert len(lines) == (1 if shell == "fish" else 2)
    place = ".config/fish/completions/trainer.fish" if shell == "fish" else f".local/share/trainer/completion.{shell}"
    assert (home / place).read_text() == SCRIPTS[shell]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("completion",), "trainer completion install"),
        (("completion", "bahs"), "did you mean 'bash'?"),
        (("completion", "install", "powershell"), "choose from: bash, fish, zsh"),
        (("-sc",), "trainer completion install"),
        (("-sc", "uninstall=bash"), "trainer completion install"),
        (("-sc", "query=powershell"), "trainer completion install"),
    ],
    ids=lambda words: " ".join(words),
)
def test_a_wrong_word_about_completion_is_answered_in_two_lines(
    trainer: Trainer, words: tuple[str, ...], said: str
) -> None:
    ran = trainer(*words)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 2


def test_a_shell_that_is_unknown_is_asked_for(trainer: Trainer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    ran = trainer("completion", "install")
    assert (ran.code, ran.err.splitlines()[0]) == (2, "error: your shell, 'tcsh', is not bash, zsh or fish")
    (home / ".local").touch()
    ran = trainer("completion", "install", "bash")
    assert ran.code == 1
    assert "trainer completion bash" in ran.err


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_is_printed(trainer: Trainer, shell: str) -> None:
    assert trainer("completion", shell).out == SCRIPTS[shell]
    assert trainer("-sc", f"install={shell}").out == SCRIPTS[shell]  # as Hydra's own was asked for


# --- the real shells -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files of all kinds of names, and `trainer` on the path."""
    folder = tmp_path / "work"
    (folder / "my photos").mkdir(parents=True)
    (folder / "configs" / "model").mkdir(parents=True)
    for name in ("a$(touch ran).pt", "b`touch ran`.pt", "it's a.pt", "плоский.pt", "my photos/x.pt"):
        (folder / name).touch()
    (folder / "configs" / "model" / "x$(touch ran).yaml").write_text("# Mine.\n_target_: x.X\n")
    home = tmp_path / "home"
    (home / "my runs").mkdir(parents=True)
    (home / "net.pt").touch()
    for name, value in (("HOME", home), ("PATH", f"{program(tmp_path / 'bin')}:{os.environ['PATH']}")):
        monkeypatch.setenv(name, str(value))
    (folder / "trainer").symlink_to(tmp_path / "bin" / "trainer")
    return folder


@pytest.fixture(params=[pytest.param("bash", marks=needs("bash")), pytest.param("zsh", marks=needs("zsh"))])
def terminal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    """A shell in that directory, in which tab completion has been installed as the documentation says."""
    start = f". ~/.{request.param}rc"
    found = Terminal(request.param, f"trainer completion install {request.param}; {start}", folder, {})
    yield found
    found.close()


TYPED = [
    ("trainer tra", "trainer train "),
    ("trainer train mode", "trainer train model"),
    ("trainer train model=ml", "trainer train model=mlp "),
    ("trainer train early_stopping.pa", "trainer train early_stopping.patience="),
    ("trainer train plots=f", "trainer train plots=false "),
    ("trainer train -m seed=1,2 optim=ada", "trainer train -m seed=1,2 optim=ada"),
    ("trainer eval ckpt=a", "trainer eval ckpt=a\\$\\(touch\\ ran\\).pt "),
    ("trainer eval 'ckpt=a", "trainer eval 'ckpt=a$(touch ran).pt'"),
    ('trainer eval "ckpt=a', 'trainer eval "ckpt=a\\$(touch ran).pt"'),
    ("trainer eval b", "trainer eval b\\`touch\\ ran\\`.pt "),
    ("trainer eval it", "trainer eval it\\'s\\ a.pt "),
    ("trainer eval плос", "trainer eval плоский.pt "),
    ("trainer eval my", "trainer eval my\\ photos/"),
    ("trainer eval ckpt=my\\ ph", "trainer eval ckpt=my\\ photos/"),
    ("trainer eval ckpt=my\\ photos/", "trainer eval ckpt=my\\ photos/x.pt "),
    ("trainer eval ~/ne", "trainer eval ~/net.pt "),
    ("trainer train from=~/my", "trainer train from=~/my\\ runs/"),
    ("./trainer train plots=f", "./trainer train plots=false "),
    ("trainer train model=x", "trainer train model=x\\$\\(touch\\ ran\\) "),
    ("trainer train 'data.augment=li", "trainer train 'data.augment=light'"),
    ("trainer trian x", "trainer trian x"),
]


@pytest.mark.slow
def test_a_tab_completes_on_a_terminal(terminal: Terminal, folder: Path) -> None:
    assert [(typed, terminal.completed(typed).rstrip(" ")) for typed, _ in TYPED] == [
        (typed, wanted.rstrip(" ")) for typed, wanted in TYPED
    ]
    assert terminal.completed("trainer train data.augment=li").endswith("light ")  # the word is at its end
    assert terminal.completed("trainer train early_stop").endswith(".")  # and this goes on
    assert not (folder / "ran").exists()


@needs("fish")
@pytest.mark.slow
def test_fish_completes(folder: Path) -> None:
    lines = [
        ("trainer tra", "train\tfit a model, then test it"),
        ("trainer train model=ml", "model=mlp\tA perceptron with one hidden layer or several"),
        ("trainer train early_stopping.pa", "early_stopping.patience=\tevaluations without improvement"),
        ("trainer train plots=f", "plots=false"),
        ("trainer eval ckpt=a", "ckpt=a$(touch ran).pt\tcheckpoint"),
        ("trainer eval 'ckpt=a", "ckpt=a$(touch ran).pt\tcheckpoint"),
        ("trainer eval b", "b`touch ran`.pt\tcheckpoint"),
        ("trainer eval it", "it's a.pt\tcheckpoint"),
        ("trainer eval ckpt=my\\ ph", "ckpt=my photos/"),
        ("trainer eval 'ckpt=my photos/", "ckpt=my photos/x.pt\tcheckpoint"),
        ("trainer train model=x", "model=x$(touch ran)\tMine"),
        ("trainer eval ~/ne", "~/net.pt\tcheckpoint"),
        ("./trainer train plots=f", "plots=false"),
        ("trainer trian x", ""),
    ]
    asked = "\n".join(f"echo (complete -C {in_fish(line)} | string collect)" for line, _ in lines)
    script = f"trainer completion install fish >&2; source ~/.config/fish/completions/trainer.fish\n{asked}"
    command = ["fish", "--no-config", "-c", script]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert ran.stdout.splitlines() == [wanted for _, wanted in lines], ran.stderr
    assert not (folder / "ran").exists()


def in_fish(text: str) -> str:
    """A text as it is written in fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
