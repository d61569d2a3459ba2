"""Names of strangers: whatever a class, a column, a run or a value is called, it is shown, and nothing obeys it."""

import csv
import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import Ran, Trainer
from outcomes import of_classes
from PIL import Image
from running import SILENT, checkpoint, reported, result, runs, train
from sweeping import job
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from trainer.engine.objective import Objective
from trainer.run.hooks.tensorboard import TensorBoard
from trainer.show.figures import grid, of
from trainer.show.figures.grid import Cell, Line
from trainer.show.lettering import lettered, lettering
from trainer.show.rendering import render
from trainer.show.report import Report
from trainer.sweeps.results import figures, table
from trainer.system.paths import quoted
from trainer.system.shown import MARKS, printable, shortened

NASTY = {
    "an escape code": "\x1b[2J\x1b]0;owned\x07x",
    "line breaks": "new\r\nline\x85\u2028x",
    "tabs": "a\tb\vc",
    "turned around": "\u202egnp.exe\u2066",
    "cannot be seen": "in\u200bvi\u2060si\u3164ble\u115f",
    "a flood of accents": "z" + "\u0301\u0488" * 40,
    "markup": "[red]x[/red][link=http://x]y[/link]",
    "an unclosed tag": "[/bold]\\",
    "an emoji code": ":smile: :bomb:",
    "a formula": "=cmd|'x'!A1",
    "a formula after a sign": "+1+1",
    "a minus": "-x",
    "an at": "@SUM(1)",
    "mathematics": "$\\frac{1}{0}$ $",
    "a format": "%s {0} {task} %(x)s",
    "long": "W" * 240,
    "long in Chinese": "漢" * 80,
    "another script": "हिन्दी שלום ไทย 😀",
    "not underlined": "_x_",
    "half a character": "\udcff\udc80",
    "a path": "..\\..\\x",
}
every = pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)


def inert(text: str) -> bool:
    """Whether a terminal shows each line of `text` as it is."""
    return all(printable(line) == line for line in text.split("\n"))


def computed(cell: str) -> bool:
    """Whether a spreadsheet would compute the cell, and not show it."""
    return cell.strip()[:1] in tuple("=+-@") and re.fullmatch(r"[-+]?(inf|[0-9.]+(e[-+]?[0-9]+)?)", cell) is None


def harmless(ran: Ran) -> None:
    assert ran.code == 0, ran.err
    assert inert(ran.out)
    assert ran.err == ""
    assert "owned" not in ran.out or "\\x1b]0;owned\\x07" in ran.out


def parsed(run: Path) -> EventAccumulator:
    """TensorBoard's own reading of a run."""
    events = EventAccumulator(str(run))
    events.Reload()
    return events


@pytest.fixture
def below(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory some folders deep: what is written beside it has escaped."""
    place = empty / "a" / "b" / "c"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


# --- one text -------------------------------------------------------------------------------------------


@every
def test_any_text_is_one_line_of_what_can_be_seen(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    runs_of_marks = "".join("m" if unicodedata.combining(c) or c == "\u0488" else " " for c in shown).split()
    assert max(map(len, runs_of_marks), default=0) <= MARKS


HONEST = ["plain", "two words", "naïve", "mo\u0308del", "模型", "שלום", "❤\ufe0f", "ก็", "", "[x]"]


@pytest.mark.parametrize("name", HONEST)
def test_honest_names_are_shown_as_they_are(name: str) -> None:
    assert printable(name) == name
    assert shortened(name, 20) == name


@pytest.mark.parametrize("most", [4, 10, 61])
@pytest.mark.parametrize("length", [3, 10, 11, 300, 10**6])
def test_a_long_name_keeps_its_beginning_and_its_end(length: int, most: int) -> None:
    text = "a" * (length - 1) + "z"
    found = shortened(text, most)
    assert found == text if length <= most else len(found) == most
    assert found[0] + found[-1] == "az"
    assert len(shortened(text, most, "...")) == min(length, most)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@every
def test_a_shell_reads_any_name_as_it_was(name: str) -> None:
    said = quoted(name)
    assert printable(said) == said
    ran = subprocess.run(["bash", "-c", f"printf %s {said}"], capture_output=True, timeout=20)
    assert ran.stdout == os.fsencode(name)


def test_half_a_character_that_no_path_has_is_quoted_all_the_same() -> None:
    assert inert(quoted("\ud800"))


# --- the terminal ---------------------------------------------------------------------------------------


@every
def test_a_terminal_shows_any_name_as_text(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from trainer.sweeps.monitor import Monitor
    from trainer.sweeps.plan import Asked, Planned

    for variable, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "4000", "LINES": "30"}.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "train.log").write_text(name, encoding="utf-8", errors="surrogateescape")
    report = Report()
    report.live = True
    report.say(name)
    report.panel(name, [(name, name)])
    report.table((name, "x"), [(name, "1")], name)
    assert list(report.track([1], 1, name)) == [1]
    monitor = Monitor(report)
    monitor.show([(Planned(0, tmp_path, Asked([], None), name), 0.0)])
    monitor.close()
    out = capfd.readouterr().out
    seen = "".join(part.partition("m")[2] if number else part for number, part in enumerate(out.split("\x1b[")))
    assert printable(name) in seen
    assert inert(seen.replace("\r", "").replace("?25l", "").replace("?25h", ""))
    assert "😄" not in seen


def test_a_table_is_as_wide_as_a_name_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    Report().table(("x" * 500, "n", "status"), [("y" * 500, "1", "failed: " + "z" * 500)])
    header, row = capsys.readouterr().out.splitlines()
    assert len(header.split()[0]) == len(row.split()[0]) == Report.CELL
    assert "z" * 500 in row


def test_an_error_is_shortened_and_still_says_what_is_wrong(trainer: Trainer) -> None:
    ran = trainer("eval", f"ckpt={'x' * 5000}")
    assert ran.code == 2
    assert ran.err.startswith("error: ckpt=xxx") or "xxx" in ran.err
    assert len(ran.err) < 2500
    header = ",".join(f"column{n}" for n in range(5000))
    row = ",".join("1" for _ in range(5000))
    Path("wide.csv").write_text("\n".join([header, row, row, row]))
    ran = trainer("train", *SILENT, "model=linear", "data=csv", "data.path=wide.csv", "data.target=zzz")
    assert ran.code == 2
    assert "and 4,900 more" in ran.err


# --- pictures -------------------------------------------------------------------------------------------


def test_a_picture_shows_all_kinds_of_names_without_a_warning(tmp_path: Path) -> None:
    names = [*NASTY.values()]
    cells = [Cell(torch.rand(1, 4, 4), [Line(name, name[:3], sign="→")]) for name in names]
    with lettering():
        render(grid.draw(cells, names[0], names[-1]))
    assert len(figures.save([job(n, 0.1 * n, x=name) for n, name in enumerate(names)], tmp_path)) == 1


@pytest.mark.parametrize("kind", ["long", "long in Chinese", "mathematics", "half a character"])
def test_small_pictures_have_room_for_any_name(kind: str, tmp_path: Path) -> None:
    name = NASTY[kind]
    logits = torch.eye(2)
    render(next(figure for _, figure in of(of_classes(logits, logits.argmax(1), [name, f"{name}x"]))))
    jobs = [job(n, 0.1 * n, **{name: f"{n % 2}{name}", "y": n // 2, "objective": f"val/{name}"}) for n in range(4)]
    paths = figures.save(jobs, tmp_path / "plots")
    assert len(paths) == 3
    assert sorted((tmp_path / "plots").iterdir()) == sorted(paths)
    assert [*tmp_path.iterdir()] == [tmp_path / "plots"]


def test_pictures_of_keys_that_look_alike_are_files_of_their_own(tmp_path: Path) -> None:
    jobs = [job(n, 0.1 * n, **{"a b": n % 2, "a@b": n // 2, "k" * 400: n}) for n in range(4)]
    paths = figures.save(jobs, tmp_path)
    assert len({path.name for path in paths}) == len(paths) == len([*tmp_path.iterdir()])


@pytest.mark.parametrize("text", ["$a$", "a$b$c", "$" * 70, "\\$x\\$"])
def test_a_dollar_in_a_picture_is_a_dollar(text: str) -> None:
    from matplotlib.cbook import is_math_text

    assert not is_math_text(lettered(text, 80, 27))
    assert lettered(text, 80).replace(r"\$", "$") == text  # as matplotlib reads it


# --- files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-x", "@x", "\t=1", "\r=1", " =1+1", "-1_0", "\uff1dx", "=", "--1", "-", "+x"]
)
def test_a_cell_that_a_spreadsheet_would_compute_is_text(text: str, tmp_path: Path) -> None:
    table.write_csv(tmp_path / "t.csv", [job(0, 0.5, **{text: text}), job(1, None, **{text: "1"}, error=text)])
    rows = [*csv.reader((tmp_path / "t.csv").read_text().splitlines())]
    assert f"'{printable(text)}" in rows[0]
    assert f"'{printable(text)}" in rows[1]
    assert rows[2][-1] == f"'{printable(text)}"


def test_numbers_in_the_file_stay_numbers(tmp_path: Path) -> None:
    values = ["-0.5", "+1e-3", "-1", "1e9", "0", "-inf", "nan", "-.5", " -2"]
    table.write_csv(tmp_path / "t.csv", [job(n, -0.25, x=value) for n, value in enumerate(values)])
    rows = [*csv.DictReader((tmp_path / "t.csv").read_text().splitlines())]
    assert {row["x"] for row in rows} == set(values)
    assert {row["value"] for row in rows} == {"-0.25"}


@every
def test_a_table_of_any_name_can_be_shown_and_read(name: str, tmp_path: Path) -> None:
    table.write_csv(tmp_path / "t.csv", [job(0, 0.5, **{name: name}), job(1, 0.25, **{name: "1"})])
    text = (tmp_path / "t.csv").read_bytes().decode()
    assert inert(text.replace("\r\n", "\n"))
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [float(row["value"]) for row in rows] == [0.5, 0.25]
    assert not any(computed(cell) for row in rows for cell in [*row, *row.values()])


def test_tensorboard_takes_any_hyperparameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.config.train import TensorBoard as Settings

    board = TensorBoard(tmp_path, Settings(), torch.nn.Linear(1, 1), 1, Objective("val/loss", "min"))
    given = {f"{name}{kind}": value for name in NASTY.values() for kind, value in (("s", name), ("n", 10**400))}
    board.begin({**given, "lr": 0.1, "n": 3})
    board.close()
    content = parsed(tmp_path).PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert (start.hparams["lr"].number_value, start.hparams["n"].number_value) == (0.1, 3)
    assert len(start.hparams) == len(given) + 2
    assert all(inert(key) and inert(value.string_value) and len(key) <= 200 for key, value in start.hparams.items())


# --- name= ----------------------------------------------------------------------------------------------

OUTSIDE = [
    *("", " ", ".", "..", "../x", "../../../x", "a/../../b", "a/..", "/abs", "//x", "a//b", "a/", "./a", "..\\..\\x"),
    *("a\nb", "a\x1b[2J", "\u202ex", "\u200b", "\udcff", "a\0b", "n" * 201, "é" * 101, "ok/" + "n" * 300),
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_is_no_folder_below_output_is_refused_before_anything_is_written(
    trainer: Trainer, below: Path, name: str
) -> None:
    typed = "name='{}'".format(name.replace("\\", "\\\\") if name.endswith("\\") else name)
    for more in ((), ("-m", "seed=0,1")):
        ran = trainer("train", "model=linear", "data=line", *SILENT, *more, typed)
        assert (ran.code, ran.out) == (2, "")
        assert "name=first" in ran.err
        assert inert(ran.err)
        assert len(ran.err.splitlines()) == 2
    assert [path for path in below.parent.parent.rglob("*") if path != below and path != below.parent] == []


@pytest.mark.parametrize("name", ["a", "group/run", "a b", "naïve 模型", "...", "=1", "-x", "n" * 200, "~"])
def test_a_name_below_output_is_where_the_run_is(trainer: Trainer, below: Path, name: str) -> None:
    run = train(trainer, "model=linear", "data=line", "epochs=1", *SILENT, f"name='{name}'", "output=here")
    assert run.parent == Path("here", name)


def test_a_name_from_the_environment_stays_below_output_too(
    trainer: Trainer, below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", str(below.parent))
    for more in ((), ("-m",)):
        ran = trainer("train", "model=linear", "data=line", *SILENT, *more, "name=${oc.env:WHERE}")
        assert ran.code == 2
    assert [*below.iterdir()] == []
    assert [*below.parent.iterdir()] == [below]


@pytest.mark.parametrize("choice", ["../linear", "deep/linear", "../../c/configs/linear"])
def test_the_name_of_a_choice_leads_nowhere_else(trainer: Trainer, below: Path, choice: str) -> None:
    path = Path("configs/model", f"{choice}.yaml")
    Path("configs/model").mkdir(parents=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("defaults: [/Linear@_here_]\nname: linear\nfeatures: ${data.features}\noutputs: ${data.outputs}\n")
    ran = trainer("train", f"model={choice}", "data=line", "epochs=1", *SILENT)
    if ran.code == 0:
        (run,) = runs()
        assert run.parent.parent == Path("runs")
    else:
        assert (ran.code, runs()) == (2, set())
    assert {path.name for path in below.iterdir()} <= {"configs", "runs", "c"}
    assert [*below.parent.iterdir()] == [below]


def test_a_run_whose_file_has_another_name_is_resumed_where_it_is(trainer: Trainer, below: Path) -> None:
    run = train(trainer, "model=linear", "data=line", "epochs=1", *SILENT)
    config = run / "config.yaml"
    nasty = '"../../../x\\e[2J\\n[red]"'
    text = config.read_text()
    assert "name: null" in text
    config.write_text(text.replace("name: null", f"name: {nasty}", 1))
    ran = trainer("resume", str(run), "epochs=2")
    assert inert(ran.out + ran.err)
    assert ran.code == 0, ran.err
    assert runs() == {run}
    assert inert((run / "train.log").read_text())
    assert [*below.iterdir()] == [below / "runs"]
    assert [*below.parent.iterdir()] == [below]


def test_the_users_own_link_below_output_is_followed(trainer: Trainer, below: Path) -> None:
    (below / "disk").mkdir()
    (below / "runs").mkdir()
    (below / "runs" / "mine").symlink_to(below / "disk")
    ran = trainer("train", "model=linear", "data=line", "epochs=1", *SILENT, "name=mine")
    assert ran.code == 0
    assert len([*(below / "disk").iterdir()]) == 1


# --- whole commands -------------------------------------------------------------------------------------


def looked_at(trainer: Trainer, run: Path) -> None:
    """All that there is to see of a run is harmless, and all of it is there."""
    assert inert((run / "train.log").read_text(encoding="utf-8"))
    assert parsed(run).Tags()["scalars"]
    assert [*(run / "plots").glob("*.png")]
    harmless(trainer("eval", f"ckpt={run}"))
    harmless(trainer("inspect", f"ckpt={run}"))


def folder_name(name: str) -> str:
    """The name as a class's folder can have it."""
    return os.fsdecode(os.fsencode(f"c{name}" if name.startswith(".") else name.replace("/", "|"))[:250])


def test_classes_of_any_name_are_trained_on_and_shown(trainer: Trainer, below: Path) -> None:
    rng = np.random.default_rng(0)
    names = sorted({folder_name(name) for name in NASTY.values() if name not in ("漢" * 80,)})
    for name in names:
        (below / "images" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(below / "images" / name / f"{number}.png")
    quick = ("model=linear", "epochs=1", "data.size=6", "data.cache=null", "data.val_fraction=0")
    ran = trainer("train", "data=folder", "data.path=images", *quick)
    harmless(ran)
    (run,) = runs()
    assert set(result(run)["per_class"]) == set(names)
    looked_at(trainer, run)
    assert {path.name for path in below.iterdir()} == {"images", "runs"}
    assert [*below.parent.iterdir()] == [below]


def table_of(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


TEXTS = [name.strip() for name in NASTY.values() if name.isprintable() or "\udcff" not in name]


def test_words_and_columns_of_any_name_are_trained_on_and_shown(trainer: Trainer, below: Path) -> None:
    rng = np.random.default_rng(0)
    header = [f"{text}c" for text in TEXTS]
    rows = [[*rng.normal(size=len(header)).round(3), word] for word in TEXTS for _ in range(4)]
    table_of(below / "t.csv", [*header, "target"], rows)
    data = ("data=csv", "data.path=t.csv", "data.target=target")
    harmless(trainer("inspect", "model=linear", *data))
    harmless(trainer("train", "model=linear", *data, "epochs=1"))
    (run,) = runs()
    assert set(result(run)["per_class"]) == set(TEXTS)
    looked_at(trainer, run)
    ran = trainer("train", "model=linear", *data[:2], "data.target=none of these", *SILENT)
    assert ran.code == 2
    assert inert(ran.err)


@pytest.mark.parametrize("how", ["serial", "batched"])
def test_a_sweep_over_values_of_any_name_is_harmless(trainer: Trainer, below: Path, how: str) -> None:
    rng = np.random.default_rng(0)
    names = [NASTY[kind] for kind in ("an escape code", "markup", "a formula", "mathematics", "a flood of accents")]
    header = [*names, "-0.5", "W" * 240]
    table_of(below / "t.csv", [*header, "y"], [[*rng.normal(size=len(header) + 1).round(3)] for _ in range(12)])
    words = ",".join("'{}'".format(name.replace("'", r"\'")) for name in header)
    common = ("model=linear", "data=csv", "data.path=t.csv", "epochs=1", "tensorboard.enabled=false")
    ran = trainer("train", "-m", *common, f"data.target={words}", f"sweep={how}")
    harmless(ran)
    (sweep,) = Path("runs/sweeps/sweep").iterdir()
    with (sweep / "results.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    said = {row["data.target"] for row in rows}
    assert len(said) == len(header)
    assert "'-0.5'" in said
    assert not any(computed(cell) for row in rows for cell in row.values())
    assert all(float(row["value"]) == pytest.approx(float(row["value"])) for row in rows)
    assert [path.name for path in (sweep / "plots").iterdir()] == ["data.target.png"]
    for log in sweep.rglob("train.log"):
        assert inert(log.read_text(encoding="utf-8"))
    assert {path.name for path in below.iterdir()} == {"t.csv", "runs"}
    assert [*below.parent.iterdir()] == [below]


# --- very many classes ----------------------------------------------------------------------------------


def test_of_very_many_classes_some_are_shown_and_all_are_written(trainer: Trainer, below: Path) -> None:
    count = 1200
    rows = [[n % 7, n // 7, f"word{n:04}"] for n in range(count) for _ in range(3)]
    table_of(below / "t.csv", ["a", "b", "target"], rows)
    data = ("data=csv", "data.path=t.csv", "data.target=target", "data.batch_size=1000")
    ran = trainer("train", "model=linear", *data, "epochs=1", "tensorboard.enabled=false")
    assert ran.code == 0, ran.err
    assert "no picture of the confusion: 1,200 classes" in ran.out
    (run,) = runs()
    assert [path.name for path in (run / "plots").iterdir()] == ["curves.png"]
    assert list(result(run)["per_class"]) == [f"word{n:04}" for n in range(count)]
    assert checkpoint(run)
    for command, which in (("eval", "the lowest accuracy"), ("inspect", "the first of them")):
        ran = trainer(command, f"ckpt={run}")
        assert sum(line.startswith("word") for line in ran.out.splitlines()) == 20
        assert "... and 1,180 more" in ran.out
        assert which in ran.out
    assert reported(run)["test/accuracy"] >= 0


# --- the shell ------------------------------------------------------------------------------------------


def test_a_config_that_is_shown_steers_no_terminal(trainer: Trainer, below: Path) -> None:
    name = "\u202ex\x1b[2Jé"
    ran = trainer("train", "--cfg", "job", f"output='{name}'")
    assert ran.code == 0
    assert inert(ran.out)
    assert yaml.safe_load(ran.out)["output"] == name
    assert inert(trainer("train", "--cfg", "job", "--package", "output", f"output='{name}'").out)
