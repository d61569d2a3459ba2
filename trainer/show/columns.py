"""The plan of a table's columns, as people look at it."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.show.report import Report
from trainer.system.shown import shortened

_MANY = 100  # columns from which on a few are shown
_FEW = 20
_WORDS = 60  # characters that the words of a category may take


def show(screen: Report, plan: Sequence[Mapping[str, Any]]) -> None:
    """Print what becomes of each column, in a table; only the first of very many."""
    kept = sum(column["kind"] != "dropped" for column in plan)
    title = f"columns: {kept:,} of {len(plan):,} are used"
    shown = plan if len(plan) <= _MANY else plan[:_FEW]
    rows = [
        (column["name"], column["kind"], str(_features(column)), _filled(column), _meaning(column)) for column in shown
    ]
    screen.table(("column", "kind", "features", "if missing", "what it is"), rows, title)
    if len(shown) < len(plan):
        screen.say(f"... and {len(plan) - len(shown):,} more")


def _features(column: Mapping[str, Any]) -> int:
    kind, missing = column["kind"], int(column.get("missing", False))
    if kind == "category":
        return len(column["words"]) + int(column["rare"]) + missing
    if kind == "date":
        return len(column["parts"]) + missing
    return 0 if kind == "dropped" else 1 + missing


def _filled(column: Mapping[str, Any]) -> str:
    if column["kind"] == "dropped" or (column["kind"] in ("category", "date") and not column["missing"]):
        return "-"
    if column["kind"] in ("category", "date"):
        return "a value of its own"
    return f"{column['fill']:.4g}" + (", and a feature says so" if column["missing"] else "")


def _meaning(column: Mapping[str, Any]) -> str:
    kind = column["kind"]
    if kind == "number":
        return f"mean {column['mean']:.4g}, deviation {column['deviation']:.4g}"
    if kind == "category":
        rare = ", and rare ones" if column["rare"] else ""
        words = shortened(", ".join(word[:_WORDS] for word in column["words"][:_FEW]), _WORDS)
        return f"{len(column['words'])} words{rare}: {words}"
    if kind == "boolean":
        return f"{shortened(column['words'][0], 20)} is 0, {shortened(column['words'][1], 20)} is 1"
    if kind == "date":
        form = "" if column["form"] == "own" else f", written {shortened(column['form'], 40)}"
        return ", ".join(part["name"] for part in column["parts"]) + form
    return str(column["reason"])
