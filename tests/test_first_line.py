"""The first line of each verb, and what a terminal of some width shows of the rest."""

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from conftest import Trainer
from PIL import Image
from running import QUICK
from screens import Terminal, shown

from trainer.cli.main import main
from trainer.system.errors import TrainerError


class ReachedError(TrainerError):
    """Torch would be imported now."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    with chdir(tmp_path_factory.mktemp("trained")):
        assert main(["train", *QUICK]) == 0
        (run,) = Path("runs").glob("*/*")
        return run.absolute()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, trainer: Trainer) -> Callable[..., str]:
    """What a command shows on a terminal of so many columns."""

    def run(columns: int, *words: str) -> str:
        for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns), "LINES": "40"}.items():
            monkeypatch.setenv(name, value)
        screen = Terminal(columns, 40)
        ran = trainer(*words)
        assert ran.code == 0, ran.err
        screen.feed(ran.out.replace("\n", "\r\n"))
        return screen.text()

    return run


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("train", "model=mlp", "data=mnist", "device=cpu"), "mlp_mnist  mlp on mnist, device cpu"),
        (("train", "name=mine", "from=RUN"), "train  from RUN, device auto"),
        (("train", "name=mine"), "mine  lenet on digits, device auto"),
        (("eval", "RUN", "split=val"), "eval  RUN, split val, device auto"),
        (("predict", "RUN", "input=photos"), "predict  photos by RUN, device auto"),
        (("export", "RUN", "format=pt2"), "export  RUN to pt2"),
        (("inspect", "model=mlp"), "inspect  mlp on digits"),
        (("inspect", "RUN"), "inspect  RUN"),
        (("resume", "RUN", "epochs=5"), "linear_digits  linear on digits, device auto, resumed in RUN"),
        (("reproduce", "RUN"), "reproduce  RUN, device auto"),
    ],
)
def test_the_first_line_says_what_was_asked_for_before_torch_is_there(
    trainer: Trainer, trained: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], line: str
) -> None:
    shutil.copytree(trained, "RUN")
    Path("photos").mkdir()

    def reached() -> None:
        raise ReachedError("now")

    monkeypatch.setattr("trainer.show.beginning.import_torch", reached)
    ran = trainer(*words)
    assert ran.err == "error: now\n"
    assert ran.out == line + "\n"


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_nothing_of_a_run_is_broken_on_a_terminal_of_any_width(terminal: Callable[..., str], columns: int) -> None:
    text = terminal(columns, "train", *QUICK, "epochs=3", "objective=val/balanced_accuracy", "name=n")
    lines = text.splitlines()
    assert lines[0] == "n  linear on digits, device auto"
    (header,) = (number for number, line in enumerate(lines) if line.lstrip().startswith("epoch "))
    names = lines[header].split()
    assert names[0] == "epoch"
    assert {"train/loss", "val/balanced_accuracy"[:20]} & {*names}
    for row in lines[header + 1 : header + 4]:
        cells = row.split()
        assert len(cells) == len(names)
        assert all(re.fullmatch(r"[\d.,]+(e-?\d+|%)?", cell) for cell in cells)
    box = [line for line in lines if line[:1] in "╭│╰" and line]
    assert len({len(line) for line in box}) == 1
    assert all(line[-1] in "╮│╯" for line in box)
    (run,) = Path("runs/n").iterdir()
    assert f"  trainer predict {run} input=FOLDER" in text.replace("\n", "").replace("  trainer", "\n  trainer")


@pytest.mark.parametrize("columns", [60, 120])
def test_nothing_of_a_sweep_is_broken_on_a_terminal_of_any_width(terminal: Callable[..., str], columns: int) -> None:
    text = terminal(columns, "train", "-m", *QUICK, "optim.lr=0.001,1e-2", "seed=0,1", "name=n")
    lines = text.splitlines()
    assert lines[0] == "sweep  4 jobs over optim.lr, seed"
    (header,) = (number for number, line in enumerate(lines) if line.startswith("rank "))
    names = lines[header].split()
    assert {"rank", "seeds", "val/accuracy"} <= {*names}
    rows = [line.split() for line in lines[header + 1 : header + 3]]
    assert {row[names.index("seeds") - 1] for row in rows} == {"0.001", "1e-2"}
    assert all(re.search(r"\d\.\d\d% ± \d+\.\d\d%", " ".join(row)) for row in rows)
    assert all(len(line) <= columns for line in lines)
    assert ("not shown: " in text) == (columns == 60)
    (sweep,) = Path("runs/sweeps/n").iterdir()
    assert f"  trainer eval {sweep}/" in text.replace("\n", "").replace("  trainer", "\n  trainer")


@pytest.mark.parametrize("columns", [60, 80])
def test_an_evaluation_and_predictions_fit_a_narrow_terminal(
    terminal: Callable[..., str], trained: Path, columns: int
) -> None:
    shutil.copytree(trained, "RUN")
    text = terminal(columns, "eval", "RUN")
    assert re.search(r"^class +samples +accuracy$", text, re.MULTILINE)
    deep = Path("a_folder_with_a_long_name/and_another_one/in_which_images_lie")
    deep.mkdir(parents=True)
    for name in ("one", "two"):
        Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(deep / f"{name}.png")
    text = terminal(columns, "predict", "RUN", f"input={deep}")
    (header,) = (line for line in text.splitlines() if line.startswith("input "))
    rows = [line for line in text.splitlines() if line.endswith("%") or re.search(r"(one|two)\.png ", line)]
    assert header.split()[:3] == ["input", "predicted", "probability"]
    assert len(rows) == 2
    assert all(len(row.split()) == len(header.split()) for row in rows)


@pytest.mark.slow
def test_the_first_byte_on_a_real_terminal_is_the_first_line(tmp_path: Path) -> None:
    seen = shown([sys.executable, "-m", "trainer", "train", *QUICK], columns=80, directory=tmp_path, timeout=60)
    assert seen.code == 0
    assert seen.text.startswith("linear_digits  linear on digits, device auto\n  run ")
    assert "starting torch" not in seen.text  # the spinner is gone
    assert seen.first is not None
    assert seen.first[1] < seen.whole[1] / 2
