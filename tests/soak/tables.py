"""Tables, and the plans of their columns, with thousands of seeded changes: read, or refused in a line."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import data
from trainer.checkpoint.columns import is_plan
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset
from trainer.system.errors import TrainerError

from .figures import Figures
from .mutations import mutated

COUNT = 5_000
PIECES = [
    *('"', ",", ";", "\t", "|", "\n", "\r\n", "\r", "\0", " ", "-", "'", "(", "%", "\x1b[31m", "\u202e", "\ufeff"),
    *("1e999", "nan", "NA", "None", "0,5", "1.234,5", "1,234", "R$ 5", "5 km", "12:30", "2020-01-01", "31/12/2020"),
    *("true", "no", "Total", "id", "1" * 400, "x\x01", "x" * 300),
]
KEYS: list[dict[str, Any]] = [
    *({}, {}, {}, {"strict": True}, {"limit": 3}, {"task": "regression"}, {"task": "classification"}),
    *({"group": "1"}, {"time": "2"}, {"split": "3"}, {"columns": ["1"]}, {"drop": ["2"]}, {"categories": ["1"]}),
]


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Whatever is changed in a table or a plan, it is read to finite numbers, or refused in a line."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = Figures()
    for number in range(count):
        dice = random.Random(number)
        path = folder / "t.csv"
        path.write_bytes(_changed(_table(dice), dice).encode(dice.choice(_ENCODINGS), errors="ignore"))
        keys = {"path": str(path), "target": dice.choice(("y", "y", "y", "-1", "1", "z")), **dice.choice(KEYS)}
        _try(lambda keys=keys: data.load(Table(**keys)), f"{number}: {keys}", figures)
        if number % 5 == 0:
            path.write_text(_table(dice))
            plan, what = mutated(_PLAN, dice)
            trained = {"plan": plan, "columns": [], "classes": ["0", "1"]}
            if is_plan(plan):
                keys = {"path": str(path), "target": "y"}
                _try(lambda t=trained, k=keys: data.load(Table(**k), trained=t), f"{number}: {what}", figures)
        if number % 1000 == 999:
            say(f"{number + 1:,}: {figures.counts['read']:,} read, {figures.counts['refused']:,} refused")
    return figures


_ENCODINGS = ("utf-8", "utf-8", "utf-8", "latin-1", "utf-16")
_NUMBER = {"kind": "number", "fill": 1.0, "mean": 2.0, "deviation": 0.5, "missing": True, "comma": False}
_MONTH = {**_NUMBER, "name": "month", "missing": False}
_PLAN = [
    {**_NUMBER, "name": "a"},
    {"kind": "category", "name": "b", "words": ["x", "y"], "rare": True, "missing": True},
    {"kind": "boolean", "name": "c", "words": ["no", "yes"], "fill": 1.0, "missing": False},
    {"kind": "date", "name": "d", "form": "%Y-%m-%d", "missing": True, "parts": [_MONTH]},
    {"kind": "dropped", "name": "y", "reason": "it is the target"},
]


def _table(dice: random.Random) -> str:
    separator, rows = dice.choice(",,,;\t|"), dice.choice((3, 12, 60))
    day = dice.choice(("2020-{:02}-01", "01/{:02}/2020", "{:02}:30"))
    cells = [[f"{i * 1.5}", "xy"[i % 2], ("no", "yes")[i % 2], day.format(i % 12 + 1), str(i % 2)] for i in range(rows)]
    return "".join(separator.join(row) + "\n" for row in [["a", "b", "c", "d", "y"], *cells])


def _changed(text: str, dice: random.Random) -> str:
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        start = dice.randrange(len(text) + 1)
        end = start
        if dice.random() < 0.6:  # the rest of a cell
            while end < len(text) and text[end] not in ",;\t|\n":
                end += 1
        text = text[:start] + dice.choice(PIECES) + text[end:]
    return text


def _try(load: Callable[[], Dataset], what: str, figures: Figures) -> None:
    figures.add("tables")
    try:
        found = load()
    except TrainerError as error:
        figures.add("refused")
        figures.expect(error.exit_code == 2 and len(error.message.splitlines()) <= 1, f"{what}: {error.message!r}")
        return
    except BaseException as error:
        figures.expect(False, f"{what}: {type(error).__name__}: {error}")
        if isinstance(error, KeyboardInterrupt):
            raise
        return
    figures.add("read")
    splits = [split for split in (found.train, found.val, found.test) if split is not None]
    finite = all(bool(s.inputs.isfinite().all()) and bool(s.targets.double().isfinite().all()) for s in splits)
    figures.expect(finite, f"{what}: not finite")
    figures.expect(is_plan(json.loads(json.dumps(copy.deepcopy(list(found.plan or ()))))), f"{what}: its plan")
