"""Two runs, or two groups of seeds, side by side: keys, metrics, curves, lineage, and whether one is better."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.compare import lineage
from trainer.compare.entries import Entry
from trainer.compare.listing import differing, shown
from trainer.compare.ranking import REPEATS, badness
from trainer.compare.sides import Side
from trainer.compare.verdict import difference, p_value, told
from trainer.compare.welch import welch
from trainer.run import origin
from trainer.run.records import finite
from trainer.run.rows import NAME, whole_rows
from trainer.show.report import Report
from trainer.show.values import metric
from trainer.system.atomic import replacing
from trainer.system.errors import ConfigError, RunError

FEW = 5  # fewer seeds than that tell little
LETTERS = ("A", "B")


def show(sides: Sequence[Side], out: Path | None, as_json: bool) -> dict[str, Any]:
    """Show what two sides have in common and in what they differ; all of it as plain values.

    Raises:
        ConfigError: `out` is no .png.
        StorageError: It cannot be written.
    """
    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"runs.out={out}: the curves of two runs are written to a .png", "runs.out=curves.png")
    if out is not None:
        _draw(sides, out)
    found = {
        "sides": [_described(side) for side in sides],
        "differing": {key: [side.first.config.get(key) for side in sides] for key in _keys(sides)},
        "environment": _environments(sides),
        "metrics": {name: _figures(name, sides) for name in _metrics(sides)},
        "verdict": verdict(sides),
    }
    if as_json:
        print(json.dumps(finite(found), indent=2))
        return found
    _say(sides, found, Report(), out)
    return found


def _say(sides: Sequence[Side], found: dict[str, Any], screen: Report, out: Path | None) -> None:
    for letter, side in zip(LETTERS, sides, strict=True):
        runs = f"{len(side.runs)} runs" if len(side.runs) > 1 else side.first.ending
        facts = [("runs" if len(side.runs) > 1 else "status", runs)]
        facts += [("note", side.note)] if side.note else []
        screen.facts(f"{letter}  {side.name}", [*facts, *lineage.told(side.first.path)])
    rows = [(key, *map(shown, values)) for key, values in found["differing"].items()]
    if rows:
        screen.table(("key", *LETTERS), rows)
    else:
        screen.say("no key differs" + (" but the seeds and folds" if any(len(s.runs) > 1 for s in sides) else ""))
    if found["environment"]:
        screen.table(("environment", *LETTERS), [(key, *values) for key, values in found["environment"].items()])
    pm = "+-" if screen.ascii_only else "±"
    figures = [(name, *_cells(name, values, pm)) for name, values in found["metrics"].items()]
    if figures:
        tested = any("p" in values for values in found["metrics"].values())
        header = ["metric", *LETTERS, "B - A", *(["95% interval", "Welch's t-test"] if tested else [])]
        screen.table(header, [row[: len(header)] for row in figures])
    if found["verdict"]:
        screen.say(found["verdict"])
    few = min(len(side.runs) for side in sides)
    if 1 < few < FEW:
        screen.say(f"{few} seeds are few: the intervals say how little is known, and the p-values are rough")
    screen.say(f"curves: {out}" if out is not None else "curves: runs.out=curves.png draws both in one picture")


def verdict(sides: Sequence[Side]) -> str:
    """A sentence on their objective: which is better, and whether by more than chance."""
    one, other = sides
    names = {side.ranked.objective for side in sides}
    if len(names) > 1 and "" not in names:
        return f"their objectives differ, {' and '.join(sorted(names))}: which is better is for you to say"
    if "" in names or one.ranked.mean is None or other.ranked.mean is None:
        return ""
    order = sorted(zip(LETTERS, sides, strict=True), key=lambda p: badness(p[1].ranked.mean, one.ranked.direction))
    (first, better), (second, worse) = order
    return f"{one.ranked.objective}: {told(better.ranked, worse.ranked, first, second)}"


def _described(side: Side) -> dict[str, Any]:
    return {
        "path": side.name,
        "note": side.note,
        "runs": [str(run.path) for run in side.runs],
        "lineage": [str(step) for step in lineage.back(side.first.path)],
    }


def _keys(sides: Sequence[Side]) -> list[str]:
    """The keys that differ between them, and not only within one."""
    several = any(len(side.runs) > 1 for side in sides)
    keys = differing([side.first for side in sides])
    return [key for key in keys if not (several and key in REPEATS)]


def _environments(sides: Sequence[Side]) -> dict[str, list[str]]:
    found = [environment(side.first) for side in sides]
    keys = dict.fromkeys(key for one in found for key in one)
    both = {key: [one.get(key, "-") for one in found] for key in keys}
    return {key: values for key, values in both.items() if len(set(values)) > 1}


def environment(run: Entry) -> dict[str, str]:
    """What a figure depends on beside the config: versions, device, and the commit of the user's project."""
    began = origin.read(run.path)
    found = dict(run.result.get("environment") or began.get("environment") or {})
    project = began.get("project")
    if project is not None:
        changed = {True: ", changed", False: "", None: ", perhaps changed"}[project["changed"]]
        found["commit"] = project["commit"][:12] + changed
    return found


def _metrics(sides: Sequence[Side]) -> list[str]:
    """The metrics that both have."""
    one, other = ({name for run in side.runs for name in run.metrics} for side in sides)
    ordered = dict.fromkeys(name for run in sides[0].runs for name in run.metrics)
    return [name for name in ordered if name in one & other]


def _figures(name: str, sides: Sequence[Side]) -> dict[str, Any]:
    values = [side.values(name) for side in sides]
    means = [statistics.mean(found) for found in values]
    stds = [statistics.stdev(found) if len(found) > 1 else None for found in values]
    figures: dict[str, Any] = {
        "mean": means,
        "std": stds,
        "n": list(map(len, values)),
        "difference": means[1] - means[0],
    }
    if None not in stds and (test := welch(values[1], values[0])) is not None:
        figures |= {"interval": [test.low, test.high], "p": test.p}
    return figures


def _cells(name: str, figures: dict[str, Any], pm: str) -> list[str]:
    cells = []
    for mean, std in zip(figures["mean"], figures["std"], strict=True):
        text = metric(name, mean)
        spread = "" if std is None else f" {pm} {metric(name, std) if text.endswith('%') else f'{std:.2g}'}"
        cells.append(text + spread)
    cells.append(_signed(name, figures["difference"]))
    if "p" in figures:
        low, high = figures["interval"]
        return [*cells, f"{_signed(name, low)} to {_signed(name, high)}", p_value(figures["p"])]
    return [*cells, "-", "-"]


def _signed(name: str, value: float) -> str:
    return ("+" if value > 0 else "-" if value < 0 else "") + difference(name, math.fabs(value))


def _draw(sides: Sequence[Side], out: Path) -> None:
    from trainer.show import curves, rendering  # late: they import matplotlib

    drawn = {
        letter: [rows for run in side.runs if (rows := _rows(run))] for letter, side in zip(LETTERS, sides, strict=True)
    }
    names = [f"{letter}  {side.name}" for letter, side in zip(LETTERS, sides, strict=True)]
    if not any(drawn.values()):
        raise RunError("neither has a curve: there is no row in their metrics.jsonl", "leave runs.out= out")
    with replacing(out) as file:
        rendering.write_png(curves.side_by_side(drawn, names), file)


def _rows(run: Entry) -> list[dict[str, float]]:
    try:
        return whole_rows(run.path / NAME)[0]
    except (OSError, RunError):
        return []
