"""The documentation is in step with the program: its reference, its commands and its examples."""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import Trainer
from documented import blocks

from trainer.config import index, registry
from trainer.run import records

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN = sorted((ROOT / "docs" / "own").glob("*.md"))  # whose commands tests/documented runs
RECIPES = sorted((ROOT / "configs" / "experiment").glob("*.yaml"))


def commands() -> Iterator[str]:
    """The `trainer ...` lines of the pages that are not run by tests/documented, and those of the recipes' headers."""
    for page in blocks.PAGES:
        for block in blocks.blocks(page):
            if block.language in blocks.SHELL:
                lines = block.script.splitlines() if "not run" in block.marks else []
                lines += [line for line, _ in blocks.divided(block.script)[1]]
                yield from (re.sub(r"\s{2,}(# )?.*$", "", line) for line in lines if line.startswith("trainer "))
    for recipe in RECIPES:
        yield from re.findall(r"^#\s+(trainer .*?)(?:\s{2,}.*)?$", recipe.read_text(encoding="utf-8"), re.MULTILINE)


def files_of(page: Path) -> dict[str, str]:
    """The files that a page shows: a line with a name in backquotes, then a fenced block."""
    found = re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.fixture
def own_parts(empty: Path) -> Iterator[Path]:
    """A directory with the files that the pages show, and some that they name in the place of a key."""
    shown = {name: text for page in (*PAGES, *OWN) for name, text in files_of(page).items()}
    for name, text in shown.items():
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text(text, encoding="utf-8")
    (empty / "photos").mkdir()
    for name in ("houses.csv", "labels.csv", "others.csv", "my.yaml"):
        (empty / name).write_text("file,price\na.jpg,1\nb.jpg,2\n" if name == "labels.csv" else "seed: 0\n")
    path, modules = list(sys.path), set(sys.modules)
    yield empty
    sys.path[:] = path
    for name in {Path(name).stem for name in shown if name.endswith(".py")} & (set(sys.modules) - modules):
        del sys.modules[name]


def test_the_reference_lists_the_keys_that_are_declared() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/make_reference.py"


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_documented_command_is_accepted(
    command: str, own_parts: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything up to running the verb: flags, choices, keys, types and limits. A sweep stands for its first job."""
    monkeypatch.setenv("HOME", str(own_parts))  # where completion is installed
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHELL", "/bin/bash")
    accepted = []
    for place in (*(f"commands.{verb}.run" for verb in registry.verbs()), "sweeps.engine.Sweep.run"):
        monkeypatch.setattr(f"trainer.{place}", lambda asked: accepted.append(asked) or [])
    monkeypatch.setattr("trainer.cli.early.check", lambda *_: None)  # the files of examples are not here
    words = shlex.split(command)[1:]
    words = words[: words.index(">")] if ">" in words else words
    if "--config-dir" in words:
        (own_parts / "my_configs" / "model").mkdir(parents=True)
        (own_parts / "my_configs" / "model" / "mine.yaml").write_text("# Mine.\n_target_: mynet.Net\n")
    words = [re.sub(r"=range\(\d+\)$", "=0", word) for word in words]
    first_job = [
        re.sub(r"=([^'\[(,]*),.*$", r"=\1", re.sub(r"=range\((.*?),.*", r"=\1", w)) for w in words if w != "-m"
    ]
    if "search=optuna" in words:  # which has no first job, and trains none here
        first_job = words
    elif words[:2] == ["resume", "SWEEP"] and any(word.startswith("search.") for word in words):
        Path("SWEEP").mkdir()
        records.write_overrides(Path("SWEEP"), ["-m", "search=optuna", "optim.lr=interval(0.01,0.1)"])
    elif words[:2] == ["resume", "SWEEP"]:
        Path("SWEEP").mkdir()
        records.write_overrides(Path("SWEEP"), ["-m", "data=mnist", "optim.lr=0.01"])
    elif words[0] in registry.REOPENING:
        (own_parts / words[1]).mkdir(parents=True)
        composed = trainer("train", "model=lenet", "data=mnist", "--cfg", "job").out
        (own_parts / words[1] / "config.yaml").write_text(composed)
    ran = trainer(*first_job)
    said = [line for line in ran.err.splitlines() if not line.startswith("note: ")]
    assert (ran.code, said) == (0, [])
    tells = words[0] in ("help", "completion") or not {"--cfg", "--help"}.isdisjoint(words)
    assert len(accepted) == (0 if tells else 1)


def test_the_example_of_an_own_model_trains_and_evaluates(own_parts: Path, trainer: Trainer) -> None:
    quick = ("epochs=1", "data.limit=200", "tensorboard.enabled=false", "plots=false")
    assert trainer("train", "model=mynet", "data=digits", "model.hidden=64", *quick).code == 0
    (run,) = (own_parts / "runs" / "mynet_digits").iterdir()
    ran = trainer("eval", f"ckpt={run}", "model=mynet")
    assert ran.code == 0, ran.err
    assert "300 samples" in ran.out or "200 samples" in ran.out


def test_the_example_of_an_own_dataset_trains_and_evaluates(own_parts: Path, trainer: Trainer) -> None:
    quick = ("epochs=1", "tensorboard.enabled=false", "plots=false")
    assert trainer("train", "model=mlp", "data=moons", "data.samples=100", "data.batch_size=16", *quick).code == 0
    (run,) = (own_parts / "runs" / "mlp_moons").iterdir()
    ran = trainer("eval", f"ckpt={run}", "data=moons")
    assert ran.code == 0, ran.err
    assert "100 samples" in ran.out


@pytest.mark.parametrize("page", OWN, ids=lambda page: page.stem)
def test_a_page_of_an_own_part_begins_with_what_trainer_new_writes(page: Path, trainer: Trainer) -> None:
    shown = files_of(page)
    name = next(Path(name).stem for name in shown)
    ran = trainer("new", page.stem, name)
    assert ran.code == 0, ran.err
    for written in (Path(f"{name}.py"), Path("configs", page.stem, f"{name}.yaml")):
        assert written.read_text(encoding="utf-8") == shown[str(written)]
    assert ran.out.splitlines()[-1].strip() in page.read_text(encoding="utf-8")


def test_nothing_published_names_a_path_of_one_machine() -> None:
    for page in [*PAGES, *OWN, *RECIPES]:
        assert not re.search(r"/(root|home/\w+|work)/", page.read_text(encoding="utf-8")), page


def texts_of_the_program() -> str:
    """All texts in trainer's source, a line each; what is filled in is `…`."""
    lines = []
    for path in (ROOT / "trainer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                lines.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(node.value)
    return "\n".join(lines)


def test_the_messages_that_are_explained_are_those_that_the_program_has() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    said = texts_of_the_program()
    explained = re.findall(r"^### (.*)$", page, re.MULTILINE)
    unknown = [message for message in explained if not re.search(r".*".join(map(re.escape, message.split("…"))), said)]
    assert len(explained) > 40
    assert unknown == []


@pytest.mark.parametrize("page", blocks.PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    assert blocks.mistakes(page) == []


def test_keys_that_the_text_names_are_keys() -> None:
    known = {key.name for verb in registry.verbs() for key in index.keys(verb)}
    known |= {"data.augment"}  # short for data.augment.preset
    examples = {
        "optim.lrr",
        "model.hidden",
        "loss.gamma",
        "metric.top2.k",
        "hook.watch.limit",
    }  # misspelt, or one's own
    for page in blocks.PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        words = " ".join(re.findall(r"`([^`\n]+)`", text))
        named = set(re.findall(r"(?<![\w.'-])([a-z_]+(?:\.[a-z_]\w*)+)=", words))
        assert {name for name in named - known - examples if not name.startswith("augment.")} == set(), page.name


def test_every_page_has_its_place_in_the_navigation() -> None:
    def places(part: object) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from places(inner)

    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = {place for place in places(config["nav"]) if (ROOT / "docs" / place).exists()}
    assert named == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


def test_the_files_that_are_explained_are_those_that_a_run_leaves(trainer: Trainer, empty: Path) -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE))
    assert trainer("train", "model=linear", "data=digits", "epochs=1", "data.limit=100").code == 0
    (run,) = (empty / "runs" / "linear_digits").iterdir()
    left = {re.sub(r"(tfevents\.).*", r"\1…", path.name) for path in run.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith(".")} <= explained


@pytest.mark.slow
def test_the_script_and_the_command_that_stand_side_by_side_come_to_the_same(empty: Path, trainer: Trainer) -> None:
    for name, text in files_of(ROOT / "docs" / "from-pytorch.md").items():
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text(text, encoding="utf-8")
    found = {}
    for batch in ("64", "1437"):
        script = [sys.executable, "script.py", batch]
        ran = subprocess.run(script, cwd=empty, capture_output=True, text=True, timeout=120, check=True)
        loss, accuracy = re.findall(r"[\d.]+", ran.stdout)
        words = (
            "model=net",
            "data=digits8",
            "optim=sgd",
            "optim.lr=0.1",
            "optim.momentum=0.9",
            "epochs=20",
            "plots=false",
        )
        assert trainer("train", *words, f"data.batch_size={batch}", f"name=batch{batch}").code == 0
        (result,) = (empty / "runs" / f"batch{batch}").glob("*/result.json")
        metrics = json.loads(result.read_text())["metrics"]
        found[batch] = float(loss), metrics["test/loss"], float(accuracy) / 100, metrics["test/accuracy"]
    assert found["1437"][1] == pytest.approx(found["1437"][0], rel=1e-3)  # four digits are printed
    assert found["1437"][3] == pytest.approx(found["1437"][2], abs=1e-4)
    assert found["64"][3] == pytest.approx(found["64"][2], abs=0.05)  # in another order


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_the_network_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"?(https?:[^\" >]*)", page.read_text(encoding="utf-8")
        )
        assert loaded == [], page.name
