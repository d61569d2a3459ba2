"""The model card of a run: what it says is what the run has, and names in it stay text."""

import html as entities
import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import Trainer
from markdown_it import MarkdownIt
from running import SILENT, reported, result, train

from trainer.cli.main import main
from trainer.run import card, directory
from trainer.run.records import read_result
from trainer.show.card import Card, figures
from trainer.show.markdown import code, escaped, listed, table
from trainer.system.errors import RunError
from trainer.system.shown import printable

HOSTILE = [
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=y>",
    "*bold* _it_ ~~gone~~ `code`",
    "a|b|c",
    "# head",
    "https://evil.example",
    "www.evil.example",
    "@somebody",
    "&lt;b&gt; &amp;",
    "two\n\n# lines\r\x1b[31m",
    "\\`\\*",
    "$x^2$",
    "```\n",
]


def page(text: str) -> str:
    """The HTML that the card becomes."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def plain(html: str) -> str:
    """What a person reads."""
    return entities.unescape(re.sub(r"<[^>]*>", "", html))


# --- Markdown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_markdown_is_read_as_it_is(name: str) -> None:
    shown = printable(name)
    line = page(f"before {escaped(name)} after")
    assert re.findall(r"<(\w+)", line) == ["p"]
    assert plain(line).strip() == f"before {shown} after"
    cells = page(table(("a", "b"), [(name, "1"), ("x", name)]))
    assert set(re.findall(r"<(\w+)", cells)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert [plain(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)] == [shown, "1", "x", shown]
    facts = page(listed([(name, name)]))
    assert set(re.findall(r"<(\w+)", facts)) <= {"ul", "li", "strong"}
    assert plain(facts).strip() == f"{shown}: {shown}"


@pytest.mark.parametrize("address", ["https://evil.example", "www.evil.example", "WWW.evil.example", "ftp://x.y"])
def test_an_address_is_no_link(address: str) -> None:
    assert not re.search(r"://|www\.", escaped(address), re.IGNORECASE)


@pytest.mark.parametrize("name", HOSTILE)
def test_code_ends_where_it_ends(name: str) -> None:
    block = page(code((name, "last"), "bash") + "\nafter")
    assert re.findall(r"<(\w+)", block) == ["pre", "code", "p"]


def made(**changes: object) -> Card:
    known = {
        "title": "net",
        "summary": "It is a net.",
        "evaluated": "test split, 4 samples",
        "figures": figures({"accuracy": 0.5, "mse": 4.0}, {"accuracy": (0.25, 0.75), "mse": (1.0, 9.0)}),
        "data": [("data", "digits")],
        "recipe": [("epochs", "3")],
        "limits": ["it knows little"],
        "typed": "trainer train",
        "example": "photo.jpg",
    }
    return Card(**(known | changes))  # type: ignore[arg-type]


def test_figures_have_their_intervals_and_the_root_of_a_squared_error() -> None:
    assert figures({"accuracy": 0.5, "mse": 4.0, "auc": 0.75}, {"accuracy": (0.25, 0.75), "mse": (1.0, 9.0)}) == [
        ("accuracy", "50.00%", "25.00% to 75.00%"),
        ("MSE", "4", "1 to 9"),
        ("RMSE", "2", "1 to 3"),
        ("AUC", "0.75", ""),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_card_of_any_names_has_nothing_but_text_in_it(name: str) -> None:
    changes = {"title": name, "summary": name, "typed": name, "limits": [name], "data": [(name, name)]}
    classes = (["class", "training"], [[name, "3"]])
    expected, found = (
        re.findall(r"<[a-z0-9]+", page(one.text()))
        for one in (
            made(classes=(["class", "training"], [["x", "3"]]), data=[("x", "x")]),
            made(**changes, classes=classes, recipe=[("epochs", name)], pictures=()),
        )
    )
    assert found == expected


# --- a run ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that it leaves."""
    output = tmp_path_factory.mktemp("runs")
    assert main(["train", "epochs=1", "data.limit=200", "data.cache=null", f"output={output}", "name=first"]) == 0
    (found,) = (output / "first").iterdir()
    return found


def test_a_run_leaves_its_card(trained: Path) -> None:
    text = (trained / "README.md").read_text()
    reading = plain(page(text))
    assert text.startswith("# first\n")
    values = result(trained)
    accuracy = values["metrics"]["test/accuracy"]
    low, high = values["intervals"]["test/accuracy"]
    assert f"| accuracy | {accuracy:.2%} | {low:.2%} to {high:.2%} |" in text
    assert low < accuracy < high
    assert f"| expected calibration error | {values['calibration_error']:.2%} |" in text
    for line in ("training: 180 samples", "validation: 20 samples", "test: 200 samples", "seed 0", "1 epoch, 3 steps"):
        assert line in reading, line
    assert f"trainer train epochs=1 data.limit=200 data.cache=null output={trained.parent.parent} name=first" in text
    counts = [int(n) for n in re.findall(r"^\| \d \| [\d.]*%? \| (\d+) \|", text, re.MULTILINE)]
    assert (len(counts), sum(counts)) == (10, 180)


def test_the_pictures_of_a_card_are_there(trained: Path) -> None:
    images = re.findall(r"^!\[([^\]]+)\]\(([^)]+)\)$", (trained / "README.md").read_text(), re.MULTILINE)
    assert {path for _, path in images} == {
        *(f"test/{name}.png" for name in ("confusion", "roc", "reliability", "predictions")),
        "plots/curves.png",
    }
    assert all((trained / path).is_file() for _, path in images)


def test_the_commands_of_a_card_run(trained: Path, trainer: Trainer) -> None:
    text = (trained / "README.md").read_text()
    assert re.findall(r"^trainer (?!train)\w+ RUN.*$", text, re.MULTILINE) == [
        "trainer predict RUN input=photo.jpg",
        "trainer eval RUN",
        "trainer export RUN format=onnx",
    ]
    ran = trainer("eval", str(trained))
    assert ran.code == 0, ran.err


def test_the_screen_has_the_interval(trained: Path) -> None:
    low, high = result(trained)["intervals"]["test/accuracy"]
    assert f"({low:.2%} to {high:.2%})" in (trained / "train.log").read_text()


def test_of_a_quantity_the_card_has_its_range_and_its_errors(trainer: Trainer) -> None:
    run = train(trainer, *SILENT, "tables=true", "data=diabetes", "model=linear", "epochs=3")
    text = (run / "README.md").read_text()
    assert "a quantity, in training from 25 to 346" in text
    values, spans = reported(run), result(run)["intervals"]
    assert set(spans) == {"test/mse", "test/mae", "test/r2"}
    assert all(low < values[name] < high for name, (low, high) in spans.items())
    assert f"| RMSE | {values['test/mse'] ** 0.5:.4g} |" in text
    assert "trainer predict RUN input=rows.csv" in text


def test_without_tables_and_pictures_classes_have_intervals_all_the_same(trainer: Trainer) -> None:
    run = train(trainer, *SILENT, "data.limit=60", "epochs=1", "tables=false", "plots=false")
    assert "test/balanced_accuracy" in result(run)["intervals"]
    assert "![" not in (run / "README.md").read_text()


def test_a_useless_model_is_called_so(trainer: Trainer) -> None:
    run = train(trainer, *SILENT, "data.limit=100", "epochs=1", "optim.lr=1e-9", "seed=1")
    text = (run / "README.md").read_text()
    doubted = "a constant answer does as well" in (run / "train.log").read_text()
    assert doubted == ("a constant answer does as well" in text)
    assert "The test split has fewer than 10 samples of " in text


def test_intervals_that_somebody_has_changed_are_not_read(trained: Path, tmp_path: Path) -> None:
    for wrong in ('{"test/accuracy": [0.5]}', '{"test/accuracy": ["a", "b"]}', "[1, 2]"):
        text = (trained / "result.json").read_text()
        changed = re.sub(r'"intervals": \{.*?\}', f'"intervals": {wrong}', text, flags=re.DOTALL)
        assert changed != text
        (tmp_path / "result.json").write_text(changed)
        assert read_result(tmp_path) == {}


# --- exported files -------------------------------------------------------------------------------------


def test_what_was_exported_is_said_at_the_end(trained: Path) -> None:
    checkpoint, path = trained / "checkpoints" / "best.pt", trained / "README.md"
    before = path.read_text()
    card.exported(checkpoint, "a.onnx", "equal")
    card.exported(checkpoint, "b_*.pt2", "nearly equal")
    card.exported(checkpoint, "a.onnx", "still equal")
    text = path.read_text()
    assert text == f"{before}\n## Exported files\n\n- **b\\_\\*.pt2**: nearly equal\n- **a.onnx**: still equal\n"
    path.write_text(before)


@pytest.mark.parametrize("kind", ["none", "link", "long", "no text"])
def test_a_card_that_cannot_be_read_is_left_alone(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "README.md", tmp_path / "other"
    content = {"long": b"x" * (2**20 + 1), "no text": b"\xff\xfe"}.get(kind, b"mine")
    other.write_bytes(content)
    if kind == "link":
        path.symlink_to(other)
    elif kind != "none":
        path.write_bytes(content)
    card.exported(tmp_path / "checkpoints" / "best.pt", "a.onnx", "equal")
    assert other.read_bytes() == content
    assert path.exists() == (kind != "none")
    assert kind == "none" or path.read_bytes() == content


def test_a_training_that_goes_on_has_no_card_until_it_has_been_tested(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "elsewhere").write_text("mine")
    (run / "README.md").unlink()
    os.link(run / "elsewhere", run / "README.md")
    directory.rewind(run, {"README.md": 1})
    assert not (run / "README.md").exists()
    assert (run / "elsewhere").read_text() == "mine"


def test_a_directory_whose_card_is_a_link_is_not_trained_in(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "README.md").symlink_to(tmp_path / "mine")
    with pytest.raises(RunError, match=r"README\.md is a link"):
        directory.check_links(tmp_path / "run")
