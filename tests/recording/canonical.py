"""What a command leaves behind, without what no two runs have in common: times, dates, paths and versions."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

Rewrite = Callable[[str], str]

_TIMES = ("seconds", "samples_per_second")
_MESSAGES = ("error", "stopped")
_DATE = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")
_PATTERNS = (
    (_DATE, "<date>"),
    (re.compile(r"tfevents\.\d+\.[^\s/]+\.\d+"), "tfevents"),
    (re.compile(r"\b([0-9a-f]{16}|[0-9a-f]{12}-[0-9a-f]{12})\b"), "<digest>"),
    (re.compile(r"\b\d[\d,.]* samples/s\b"), "<rate>"),
    (re.compile(r"\b\d[\d,.]* ?(s|ms|min|h|seconds|minutes)\b"), "<time>"),
    (re.compile(r"after step \d+, in epoch \d+"), "after step <step>, in epoch <epoch>"),  # where Ctrl-C came
)
_TABLE_TIMES = ("seconds", "samples/s")


def rewriting(places: dict[str, str]) -> Rewrite:
    """A function that replaces in any text the paths of `places` by their names, and dates, times and digests."""
    ordered = sorted(places.items(), key=lambda place: -len(place[0]))

    def rewrite(text: str) -> str:
        for path, name in ordered:
            text = text.replace(path, name)
        for pattern, name in _PATTERNS:
            text = pattern.sub(name, text)
        return text

    return rewrite


def screen(text: str, rewrite: Rewrite) -> str:
    """A screen, without the columns of its tables that tell times."""
    columns: list[int] = []  # counted from the right, where cells are never empty
    lines = []
    for line in text.splitlines():
        cells = re.split(r"(  +)", line)
        headings = [number - len(cells) for number, cell in enumerate(cells) if cell.strip() in _TABLE_TIMES]
        if headings and len(cells) > 6:
            columns = headings
        elif columns and re.match(r" *(\d|- )", line):
            for column in columns:
                at = len(cells) + column
                cells[at - 1 : at + 1] = ["  ", "<time>"]
            line = "".join(cells)
        else:
            columns = []
        lines.append(rewrite(line).rstrip())
    return "\n".join(lines)


def left(folder: Path, rewrite: Rewrite) -> tuple[dict[str, Any], dict[str, str]]:
    """What the files below `folder` hold: that which has to be equal to the bit, and the rest, which is for people."""
    bits: dict[str, Any] = {}
    words: dict[str, str] = {}
    files: dict[str, str] = {}
    for original, path in _named(folder):
        name = rewrite(original)
        while name in files:
            name += ", another"
        files[name] = "there"
        read = _READERS.get(path.name)
        if read is not None:
            bits[f"{name}: "] = _rewritten(read(path), rewrite)
        elif "tfevents" in name:
            _add_curves(path, bits.setdefault(f"{name.partition(',')[0]}: ", {}))
        elif path.suffix == ".log":
            words[name] = screen(path.read_text(), rewrite)
        elif path.suffix == ".png":
            words[name] = f"a picture, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    return {"files": files, **bits}, words


def _named(folder: Path, name: str = "") -> Iterator[tuple[str, Path]]:
    """Every file with its path; directories that bear dates are numbered instead, in their order."""
    dated = 0
    for path in sorted(folder.iterdir()):
        shown = path.name
        if _DATE.fullmatch(shown):
            dated += 1
            shown = f"run-{dated}"
        if path.is_dir():
            yield from _named(path, f"{name}{shown}/")
        else:
            yield f"{name}{shown}", path


def _rewritten(tree: Any, rewrite: Rewrite) -> Any:
    if isinstance(tree, dict):
        return {_rewritten(key, rewrite): _rewritten(value, rewrite) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rewritten(value, rewrite) for value in tree]
    return rewrite(tree) if isinstance(tree, str) else tree


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _checkpoint(path: Path) -> Any:
    content = torch.load(path, weights_only=True)
    content = _without(content, "versions", "seconds")
    content["description"] = json.loads(content["description"])
    if content.get("logs"):
        content["logs"] = dict.fromkeys(content["logs"], "some bytes")  # times are in them: their number varies
    return content


def _rows(path: Path) -> Any:
    return [_plain(json.loads(line)) for line in path.read_text().splitlines()]


def _jobs(path: Path) -> Any:
    """The last row of each job of a sweep; they are written down in the order in which jobs end."""
    last = {str(row["job"]): row for row in _rows(path)}
    return dict(sorted(last.items()))


def _result(path: Path) -> Any:
    result = _plain(json.loads(path.read_text()))
    if "environment" in result:
        result["environment"] = _without(result["environment"], "trainer", "torch", "python", "platform")
    return result


def _origin(path: Path) -> Any:
    """What a run goes back to. When it began, and in whose project, is not the same each time."""
    found = _without(json.loads(path.read_text()), "when", "environment", "project")
    return found | {"resumed": [_without(row, "when", "environment", "project") for row in found.get("resumed", [])]}


def _table(path: Path) -> Any:
    return [_plain(row) for row in csv.DictReader(io.StringIO(path.read_text()))]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without times; of a message, which is worded for people, only whether there is one."""
    row = _without(row, *_TIMES)
    return {**row, **{name: bool(row[name]) for name in _MESSAGES if name in row}}


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _add_curves(path: Path, curves: dict[str, list[Any]]) -> None:
    """Add the points and histograms of a TensorBoard file to those of the same run's earlier ones.

    Which file a point is in depends on where a run was interrupted. Pictures are left out, for they are in plots/, and
    so are graphs: the order of their nodes is chance.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            kind = value.metadata.plugin_data.plugin_name
            if value.tag.rpartition("/")[2] not in _TIMES and kind != "images" and not kind.startswith("graph"):
                point = list(value.tensor.float_val) or value.tensor.SerializeToString().hex()
                curves.setdefault(value.tag, []).append([event.step, point])


_READERS: dict[str, Callable[[Path], Any]] = {
    "last.pt": _checkpoint,
    "best.pt": _checkpoint,
    "metrics.jsonl": _rows,
    "sweep.jsonl": _jobs,
    "result.json": _result,
    "results.csv": _table,
    "config.yaml": _yaml,
    "overrides.yaml": _yaml,
    "origin.json": _origin,
}
