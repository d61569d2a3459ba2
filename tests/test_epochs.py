"""The table of epochs: which columns a terminal has room for, and how figures are written."""

import pytest

from trainer.show.epochs import MOST, Epochs, figure
from trainer.show.grid import fitting, laid_out, narrowed, wrapped

METRICS = ["train/loss", "val/loss", "val/accuracy"]
ROW = {
    "epoch": 7,
    "step": 147,
    "train/loss": 0.25,
    "val/loss": 123456.7,
    "val/accuracy": 1.0,
    "lr": 1e-3,
    "seconds": 1234.56,
    "samples_per_second": 12_345_678.0,
}


def table(metrics: list[str] = METRICS, objective: str = "val/accuracy") -> Epochs:
    return Epochs(metrics, objective, epochs=5000, steps=100_000, dots="…")


@pytest.mark.parametrize("room", [20, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_its_columns_stand_below_their_names(room: int) -> None:
    columns = table().fitting(room)
    header, line = table().header(columns), table().line(ROW, columns, "·")
    assert len(header) <= room or columns == ["epoch", "val/accuracy"]
    assert len(line) == len(header)
    for name in columns:
        end = header.index("samples/s" if name == "samples_per_second" else name) + len(name)
        assert name in ("samples_per_second", "epoch") or line[end - 1] != " "


@pytest.mark.parametrize(
    ("room", "columns"),
    [
        (200, [*ROW]),
        (80, [*ROW]),
        (75, ["epoch", "train/loss", "val/loss", "val/accuracy", "lr", "seconds", "samples_per_second"]),
        (60, ["epoch", "train/loss", "val/loss", "val/accuracy", "lr", "seconds"]),
        (40, ["epoch", "train/loss", "val/accuracy", "seconds"]),
        (10, ["epoch", "val/accuracy"]),
        (None, [*ROW]),
    ],
)
def test_what_is_worth_least_is_left_out_first(room: int | None, columns: list[str]) -> None:
    order = ["epoch", "step", *METRICS, "lr", "seconds", "samples_per_second"]
    assert table().fitting(room) == sorted(columns, key=order.index)


def test_many_metrics_with_long_names_give_way_to_the_objective() -> None:
    names = [*METRICS, *(f"val/a_metric_of_somebodys_own_{number}" for number in range(20))]
    objective = "val/a_metric_of_somebodys_own_19"
    columns = table(names, objective).fitting(60)
    assert columns[:2] == ["epoch", "train/loss"]
    assert objective in columns
    assert len(table(names, objective).header(columns)) <= 60


def test_an_objective_that_is_no_column_becomes_one() -> None:
    assert "val/f1" in table(objective="val/f1").fitting(80)


@pytest.mark.parametrize("value", [10.0**power * sign for power in range(-300, 301, 7) for sign in (1, -1)])
def test_a_figure_is_never_longer_than_its_column(value: float) -> None:
    text = figure(1.2345678 * value)
    assert len(text) <= MOST
    assert float(text) == pytest.approx(1.2345678 * value, rel=0.2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.25, "0.2500"),
        (99.99999, "100.0000"),
        (1234.5678, "1234.568"),
        (-1234.5678, "-1234.57"),
        (1e-4, "1.00e-04"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_figures_have_the_decimals_that_there_is_room_for(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_row_without_an_evaluation_has_gaps() -> None:
    columns = ["epoch", "val/accuracy", "lr"]
    assert table().line({"epoch": 3, "lr": 0.1}, columns).split() == ["3", "1.00e-01"]


def test_columns_are_taken_by_their_worth_and_shown_in_their_order() -> None:
    widths = {"a": 5, "b": 5, "c": 5}
    assert fitting(widths, ["c", "a", "b"], 12) == ["a", "c"]
    assert fitting(widths, ["c", "a", "b"], None) == ["a", "b", "c"]
    assert fitting(widths, ["c", "a", "b"], 1) == ["c"]


def test_long_facts_go_on_below_themselves_and_paths_stay_whole() -> None:
    path = "/a/" + "very/" * 10 + "long/path"
    assert wrapped("one two three", 12, 4) == "one two\n    three"
    assert wrapped(f"in {path} there", 30, 4) == f"in\n    {path}\n    there"
    assert wrapped("one two three", None, 4) == "one two three"
    assert wrapped("星星 星星", 10, 4) == "星星\n    星星"  # each is two columns wide


def test_a_narrow_table_shortens_texts_and_leaves_out_its_last_columns_before_it_breaks_a_number() -> None:
    header = ["input", "predicted", "probability", "second"]
    rows = [["photos/" * 10 + "one.jpg", "a class with a long name", "0.00012345", "cat"]]
    for room in (80, 60, 55):
        lines = laid_out(*narrowed(header, rows, room, "…")[:2])
        assert max(map(len, lines)) <= room
        assert "0.00012345" in lines[1]
        assert "one.jpg" in lines[1]
    assert narrowed(header, rows, 60, "…")[2] == ["second"]
    assert narrowed(header, rows, 45, "…")[2] == ["probability", "second"]


def test_wide_letters_take_two_columns() -> None:
    assert laid_out(["class", "n"], [["星星", "5"], ["abc", "10"]]) == ["class   n", "星星    5", "abc    10"]
    (row,) = narrowed(["class", "n"], [["星" * 30, "5"]], 40, "…")[1]
    assert len(row[0]) < 20
