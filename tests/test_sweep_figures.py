"""Pictures of sweeps: what is drawn where, and that nothing overlaps, warns or fails."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sweeping import crossed, grid, job

from trainer.compare.ranking import ranked
from trainer.run.sweep_log import Outcome
from trainer.sweeps.results import figures, overview
from trainer.sweeps.results.axes import CROWD
from trainer.sweeps.results.captions import caption
from trainer.sweeps.results.grid import Grid


def drawn(jobs: Sequence[Outcome]) -> dict[str, Figure]:
    """The pictures by their names."""
    with matplotlib.rc_context(figures.STYLE):
        return dict(figures.figures(jobs))


def points(figure: Figure, marker: str = "o") -> set[tuple[float, float]]:
    """Where there are marks, rounded."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return {(round(float(x), 6), round(float(y), 6)) for line in lines for x, y in line.get_xydata()}


def ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Texts that touch each other or leave the picture; those that are turned are left out."""
    canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context(figures.STYLE):
        canvas.draw()
    unseen = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        seen = {tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high}
        unseen |= {label for tick in axis.majorTicks for label in (tick.label1, tick.label2)} - seen
    texts = [text for text in figure.findobj(Text) if text.get_text() and text not in unseen]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and not t.get_rotation() % 90]
    width, height = figure.get_size_inches() * figure.dpi
    out = [(t, "outside") for t, b in boxes if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]
    return out + [
        (a, b) for i, (a, first) in enumerate(boxes) for b, second in boxes[i + 1 :] if first.overlaps(second)
    ]


def swept(seeds: int = 1, **keys: list[object]) -> list[Outcome]:
    """A job for each combination of the keys' values, with results that all differ."""
    combinations = crossed(**keys, **({"seed": list(range(seeds))} if seeds > 1 else {}))
    return [job(number, 0.5 + number / 1000, **facts) for number, facts in enumerate(combinations)]


# --- one key --------------------------------------------------------------------------------------------


def test_seeds_are_points_and_their_mean_has_an_error_bar() -> None:
    values = {"0.1": [0.5, 0.6, 0.85], "0.2": [0.7, 0.72, 0.69]}
    (figure,) = drawn(grid(values)).values()
    axes = figure.axes[0]
    seeds = {(float(x), round(100 * v, 6)) for x, found in values.items() for v in found}
    means = {(float(x), round(100 * float(np.mean(found)), 6)) for x, found in values.items()}
    assert points(figure) == seeds | means
    bars = [path.vertices[:, 1] for path in axes.collections[0].get_paths()]
    for bar, found in zip(bars, values.values(), strict=True):
        mean, std = 100 * np.mean(found), 100 * np.std(found, ddof=1)
        assert sorted(bar) == pytest.approx([mean - std, mean + std])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optim.lr", "validation accuracy (%)")
    assert axes.get_title("left") == "mean ± standard deviation of 3 seeds"
    assert not figure.legends


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (["0.001", "0.01", "0.1"], "log"),
        (["1", "20"], "linear"),
        (["1", "20.1"], "log"),
        (["0", "0.1", "100"], "linear"),
        (["-1", "100"], "linear"),
        (["sgd", "adam"], "linear"),
        (["null", "1", "100"], "linear"),
        (["0.001", "0.003", "0.01"], "log"),
        (["16", "32", "64", "128"], "log"),
        (["0.01", "0.02", "0.03", "0.04"], "linear"),
        (["1", "2", "3", "5"], "linear"),
    ],
)
def test_an_axis_is_logarithmic_where_values_span_much_or_grow_by_a_factor(values: list[str], scale: str) -> None:
    (figure,) = drawn(swept(x=values)).values()
    assert figure.axes[0].get_xscale() == scale
    assert len(ticks(figure)) == len(values)
    assert {text for text in ticks(figure) if text} <= set(values)


def test_numbers_are_sorted_and_names_are_in_the_order_of_the_jobs() -> None:
    (figure,) = drawn(swept(x=["10", "9", "1e1", "-2"])).values()
    assert sorted({x for x, _ in points(figure)}) == [-2, 9, 10]
    assert ticks(figure)[0] == "-2"
    (figure,) = drawn(swept(x=["sgd", "adam", "10"])).values()
    assert ticks(figure) == ["sgd", "adam", "10"]


def test_names_are_not_joined_by_lines_and_numbers_are() -> None:
    for values, style in ((["sgd", "adam"], "None"), (["1", "2"], "-")):
        (figure,) = drawn(swept(x=values)).values()
        assert [line.get_linestyle() for line in figure.axes[0].lines] == [style]


def test_a_few_combinations_of_other_keys_have_a_colour_each() -> None:
    jobs = swept(x=["1", "2"], y=["b", "a", "c"], z=["0", "1"])
    figure = drawn(jobs)["x"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "b, 0",
        "b, 1",
        "a, 0",
        "a, 1",
        "c, 0",
        "c, 1",
    ]
    assert figure.legends[0].get_title().get_text() == "y\nz"
    assert len({line.get_color() for line in figure.axes[0].lines}) == 6
    assert {y for _, y in points(figure)} == {round(100 * (one.value or 0), 6) for one in jobs}


def test_of_many_combinations_the_best_for_each_value_is_shown() -> None:
    jobs = swept(x=["1", "2"], y=list("abcdefg"))
    figure = drawn(jobs)["x"]
    grey, best = figure.axes[0].lines
    assert len(grey.get_xydata()) == 14
    assert best.get_xydata().tolist() == [[1, pytest.approx(50.6)], [2, pytest.approx(51.3)]]
    assert figure.axes[0].get_title("left") == "best of 7 values of y; grey: every job"
    assert not figure.legends
    worst = [job(one.job, one.value, **one.overrides, direction="min") for one in jobs]
    assert drawn(worst)["x"].axes[0].lines[1].get_xydata()[:, 1].tolist() == pytest.approx([50.0, 50.7])


def test_a_random_search_is_points_without_lines_and_without_a_table() -> None:
    rng = np.random.default_rng(0)
    jobs = [job(n, rng.random(), x=f"{10 ** rng.uniform(-4, 0):.5g}", y=f"{rng.random():.5g}") for n in range(30)]
    found = drawn(jobs)
    assert found.keys() == {"x", "y"}
    for key, figure in found.items():
        assert {line.get_linestyle() for line in figure.axes[0].lines} == {"None"}
        assert points(figure) == {
            (round(float(one.overrides[key]), 6), round(100 * (one.value or 0), 6)) for one in jobs
        }
        assert not overlapping(figure)


def test_where_nothing_came_out_there_is_a_cross() -> None:
    (figure,) = drawn(grid({"1": [0.5], "2": [None], "3": [float("nan")]})).values()
    assert points(figure) == {(1, 50)}
    assert {x for x, _ in points(figure, "x")} == {2, 3}
    assert "×: no result" in figure.axes[0].get_title("left")


def test_losses_of_several_orders_are_on_a_logarithmic_axis() -> None:
    for values, scale in (([0.01, 0.5], "log"), ([0.1, 0.5], "linear"), ([0.0, 0.5], "linear")):
        jobs = [job(n, value, x=n, objective="val/loss", direction="min") for n, value in enumerate(values)]
        (figure,) = drawn(jobs).values()
        axes = figure.axes[0]
        assert (axes.get_yscale(), axes.get_ylabel()) == (scale, "validation loss")
        assert points(figure) == set(enumerate(values))


def test_points_stand_where_their_numbers_do_and_the_best_is_marked() -> None:
    jobs = swept(seeds=3, x=["0.1", "0.2", "0.4"], y=["a", "b"])
    axes = drawn(jobs)["x"].axes[0]
    assert {x for x, _ in points(drawn(jobs)["x"])} == {0.1, 0.2, 0.4}
    bands = len([found for found in axes.collections if found.get_alpha() == 0.15])
    assert bands == 2
    (star,) = [found.get_offsets().tolist() for found in axes.collections if isinstance(found, PathCollection)]
    assert star == [[0.4, pytest.approx(100 * float(np.mean([one.value or 0 for one in jobs[-3:]])))]]
    title = drawn(jobs)["x"].get_suptitle()
    assert title == "validation accuracy by x: best 51.60% at x=0.4, y=b"


# --- searches -------------------------------------------------------------------------------------------


def trials(direction: str = "max") -> list[Outcome]:
    values = [0.5, 0.7, None, 0.6, 0.65, 0.9, 0.8, 0.1]
    found = [job(n, value, x=n * n, y="ab"[n % 2], direction=direction) for n, value in enumerate(values)]
    found[-1].status = "pruned"
    return found


@pytest.mark.parametrize(
    ("direction", "best"), [("max", [50, 70, 70, 70, 90, 90, 90]), ("min", [50, 50, 50, 50, 50, 50, 50])]
)
def test_a_history_has_each_trial_and_the_best_so_far(direction: str, best: list[float]) -> None:
    with matplotlib.rc_context(figures.STYLE):
        found = dict(figures.figures(trials(direction), {"x": 0.8, "y": 0.2}))
    assert list(found) == ["history", "importance", "parallel", "x", "y"]
    done, line, pruned, lost = found["history"].axes[0].lines
    assert done.get_xdata().tolist() == [0, 1, 3, 4, 5, 6]
    assert line.get_ydata().tolist() == pytest.approx(best)
    assert pruned.get_xydata().tolist() == [[7, pytest.approx(10)]]
    assert lost.get_xdata() == [2]
    for name, figure in found.items():
        assert name == "parallel" or not overlapping(figure), name


def test_what_matters_most_is_above_and_each_bar_says_how_much() -> None:
    with matplotlib.rc_context(figures.STYLE):
        figure = dict(figures.figures(trials(), {"x": 0.2, "y": 0.8}))["importance"]
    assert figure.get_suptitle() == "y matters most: 80%"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["x", "y"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["20%", "80%"]


def test_parallel_lines_end_at_what_each_setting_has_reached() -> None:
    with matplotlib.rc_context(figures.STYLE):
        axes = dict(figures.figures(trials(), {}))["parallel"].axes[0]
    lines = [[y for _, y in segment] for segment in axes.collections[0].get_segments()]
    reached = [(0.5 - 0.5) / 0.4, 0.1 / 0.4, 0.15 / 0.4, 0.2 / 0.4, 0.3 / 0.4, 1.0]
    assert [line[-1] for line in lines] == pytest.approx(reached)
    assert axes.lines[-1].get_ydata() == pytest.approx([25 / 49, 1.0, 1.0])


def test_every_picture_has_a_caption_of_its_kind() -> None:
    found = {caption(name) for name in ("history", "val_accuracy-history")}
    assert len(found) == 1
    assert "best so far" in found.pop()
    assert caption("val_loss-optim.lr") == caption("model.hidden") != caption("optim.lr-model.hidden")


# --- two keys -------------------------------------------------------------------------------------------


def test_a_heat_map_has_each_mean_in_its_cell() -> None:
    jobs = swept(seeds=2, x=["0.1", "0.01"], y=["sgd", "adam"])
    figure = drawn(jobs)["x-y"]
    axes = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    # jobs 0, 1: x=0.1 y=sgd; 2, 3: x=0.1 y=adam; 4, 5: x=0.01 y=sgd; 6, 7: x=0.01 y=adam
    assert cells == {(1, 0): "50.05", (1, 1): "50.25", (0, 0): "50.45", (0, 1): "50.65"}
    assert ticks(figure) == ["0.01", "0.1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sgd", "adam"]
    assert axes.images[0].get_array().tolist() == pytest.approx(np.array([[50.45, 50.05], [50.65, 50.25]]))
    (frame,) = axes.patches
    assert frame.get_xy() == (-0.5, 0.5)
    assert figure.axes[1].get_ylabel() == "validation accuracy (%)"
    assert axes.get_title("left") == "mean of 2 seeds; the best is framed"


def test_a_cell_is_the_best_of_the_other_keys() -> None:
    figure = drawn(swept(x=["1", "2"], y=["1", "2"], z=["a", "b", "c"]))["x-y"]
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells == {(0, 0): "50.20", (0, 1): "50.50", (1, 0): "50.80", (1, 1): "51.10"}
    assert "best of 3 values of z" in figure.axes[0].get_title("left")


def test_light_cells_are_good_ones_and_texts_can_be_read_on_all() -> None:
    for direction, order in (("max", 1), ("min", -1)):
        jobs = [job(n, n / 10, **keys, direction=direction) for n, keys in enumerate(crossed(x=[1, 2, 3], y=[1, 2, 3]))]
        axes = drawn(jobs)["x-y"].axes[0]
        image = axes.images[0]
        lightness = [float(np.dot(image.to_rgba(value)[:3], (0.299, 0.587, 0.114))) for value in range(0, 90, 10)]
        assert lightness[::order] == sorted(lightness)
        for text in axes.texts:
            x, y = map(int, text.get_position())
            light = float(np.dot(image.to_rgba(image.get_array()[y, x])[:3], (0.299, 0.587, 0.114)))
            assert text.get_color() == ("black" if light >= 0.5 else "white")


def test_cells_without_a_result_say_why_and_missing_ones_are_empty() -> None:
    jobs = [job(0, 0.5, x=1, y=1), job(1, None, x=1, y=2), job(2, None, x=2, y=1, status="not run")]
    cells = {text.get_position(): text.get_text() for text in drawn(jobs)["x-y"].axes[0].texts}
    assert cells == {(0, 0): "50.00", (0, 1): "failed", (1, 0): "not run", (1, 1): ""}


def test_losses_of_several_orders_have_logarithmic_colours() -> None:
    jobs = [
        job(n, 10.0**-n, **keys, objective="val/mse", direction="min")
        for n, keys in enumerate(crossed(x=[1, 2], y=[1, 2]))
    ]
    figure = drawn(jobs)["x-y"]
    assert isinstance(figure.axes[0].images[0].norm, LogNorm)
    assert figure.axes[1].get_ylabel() == "validation MSE"
    assert {text.get_text() for text in figure.axes[0].texts} == {"1", "0.1", "0.01", "0.001"}


def test_there_are_at_most_three_heat_maps_and_none_of_seeds() -> None:
    found = drawn(swept(seeds=2, a=[1, 2], b=[1, 2], c=[1, 2], d=[1, 2]))
    assert list(found) == ["parallel", "a", "b", "c", "d", "a-b", "a-c", "a-d"]


# --- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "jobs",
    [
        [],
        [job(0, 0.5, x=1)],
        grid({"1": [0.1, 0.2]}),  # only seeds differ
        [job(0, None, x=1), job(1, None, x=2)],
        [job(0, 0.5, data="a"), job(1, 0.5, data="b", objective="val/loss")],  # they do not compare
    ],
)
def test_where_nothing_compares_nothing_is_drawn(tmp_path: Path, jobs: list[Outcome]) -> None:
    assert figures.save(jobs, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


def test_each_objective_has_pictures_of_its_own() -> None:
    jobs = [job(n, 0.5, data="a", x=n) for n in (0, 1)]
    jobs += [job(n, 30.0, data="b", x=n, objective="val/loss", direction="min") for n in (2, 3)]
    assert list(drawn([*jobs, job(4, None, data="b", x=9)])) == ["val/accuracy-x", "val/loss-x"]


def test_a_key_that_some_jobs_do_not_set_has_its_default_there() -> None:
    (figure,) = drawn([job(0, 0.5), job(1, 0.6, x=3)]).values()
    assert ticks(figure) == ["default", "3"]


@pytest.mark.parametrize(
    "keys",
    [
        {"optim.lr": ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1"], "optim.momentum": ["0", "0.5", "0.9"]},
        {"optim.lr": ["0.01", "0.011", "0.012", "0.013", "0.1"], "x": ["1", "1.001", "1.002", "1000000"]},
        {"model": ["linear", "mlp", "cifar_lenet", "a_model_of_ones_own_with_a_long_name", "[256,128,64,32,16,8]"]},
        {"model": [f"model_number_{n}" for n in range(40)]},
        {"x": [str(n) for n in range(24)], "y": [f"name {n}" for n in range(8)]},
        {"data.augment.random_horizontal_flip_probability": ["0", "0.5"], "model": ["a" * 60, "b" * 60]},
        {"a.b": ["1", "2"], "model.normalisation": ["x", "y"], "scheduler.warmup_steps": ["0", "1"], "z": ["1", "2"]},
    ],
)  # fmt: skip
def test_no_text_overlaps_another_or_leaves_the_picture(keys: dict[str, list[object]]) -> None:
    names = {key.replace(".", "__"): values for key, values in keys.items()}
    for name, figure in drawn(swept(seeds=2, **names)).items():
        assert not overlapping(figure), name
        assert max(figure.get_size_inches()) < 26


def test_odd_names_and_values_neither_fail_nor_warn(tmp_path: Path) -> None:
    values = ["$a_b$", "\x07\n", "日本", "\udcff", "", "../x", "$", "nan", "inf"]
    jobs = [job(n, math.sin(n), **{"a/b@c d": value, "$x": n % 2}) for n, value in enumerate(values)]
    paths = figures.save(jobs, tmp_path / "plots")
    assert [path.name for path in paths] == ["a_b_c_d.png", "_x.png"]
    assert {path.parent for path in paths} == {tmp_path / "plots"}


def test_values_that_are_all_the_same_are_drawn(tmp_path: Path) -> None:
    for value, objective in ((0.0, "val/loss"), (1e30, "val/loss"), (-1.0, "val/r2")):
        jobs = [job(n, value, **keys, objective=objective) for n, keys in enumerate(crossed(x=[1, 2], seed=[0, 1]))]
        assert len(figures.save(jobs, tmp_path)) == 1


def test_the_pictures_are_saved_as_png(tmp_path: Path) -> None:
    paths = figures.save(swept(seeds=2, optim__lr=["0.1", "1"], model=["a", "b"]), tmp_path / "plots")
    assert [path.name for path in paths] == ["optim.lr.png", "model.png", "optim.lr-model.png"]
    assert sorted(tmp_path.glob("plots/*")) == sorted(paths)
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300
            assert np.asarray(image).std() > 0


def test_a_caption_says_of_how_many_folds_the_means_are() -> None:
    jobs = [
        job(number, 0.5 + number / 1000, data__folds=5, **facts)
        for number, facts in enumerate(crossed(optim__lr=[0.1, 0.2], data__fold=[*range(5)], seed=[0, 1]))
    ]
    (figure,) = drawn(jobs).values()
    assert figure.axes[0].get_title(loc="left") == "mean ± standard deviation of 5 folds of 2 seeds"


def test_of_thousands_of_settings_some_lines_stand_for_the_others() -> None:
    jobs = [
        Outcome(
            n, {"optim.lr": str(n + 1), "clip_norm": str(n % 50)}, "completed", 1.0, "val/accuracy", "max", n / 3000
        )
        for n in range(3000)
    ]
    figure = overview.parallel(Grid(ranked(jobs)), ["optim.lr", "clip_norm"])
    (lines,) = (drawn for drawn in figure.axes[0].collections if isinstance(drawn, LineCollection))
    assert len(lines.get_segments()) == CROWD
    assert "of 3,000 settings" in figure.get_suptitle()
    assert "600 of them are drawn" in figure.axes[0].get_title(loc="left").replace("\n", " ")
