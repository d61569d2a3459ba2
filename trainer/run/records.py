"""The small files that say what ran and how it ended: overrides.yaml and result.json.

They are read as anybody's: bounded, and with every entry checked. What does not fit is as if it was not there.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from trainer.system import inside
from trainer.system.atomic import write_text
from trainer.system.shapes import each, has, is_amount, is_count, is_number, is_text, known, one_of, optional, table

OVERRIDES, RESULT = "overrides.yaml", "result.json"
SWEEP_LOG = "sweep.jsonl"  # a directory with such a file is that of a sweep
PRUNED = "pruned"  # what the reason for which such a trial stopped begins with
_LONGEST_OVERRIDES = 2**20  # bytes
_PLAIN = re.compile(r"(- '(?:[^'\x00-\x1f\x7f-\U0010ffff]|'')*'\n)*")  # lines of `_quoted`, in ASCII
_LONGEST_RESULT = 2**22  # of a model with ten thousand classes, whose accuracies are listed

_NUMBER = optional(is_number)  # JSON has no word for what is not finite
_OBJECTIVE = has({"name": is_text, "direction": one_of("min", "max"), "value": _NUMBER}, ("name", "direction", "value"))


def _is_interval(value: Any) -> bool:
    return each(_NUMBER)(value) and len(value) == 2


_SHAPES = {
    "name": is_text,
    "status": one_of("completed", "failed", "interrupted"),
    "error": is_text,
    "stopped": optional(is_text),
    "metrics": table(_NUMBER),
    "intervals": table(_is_interval),
    "objective": _OBJECTIVE,
    "best_epoch": optional(is_count),
    "samples_per_second": _NUMBER,
    "per_class": table(_NUMBER),
    "calibration_error": _NUMBER,
    "seconds": is_amount,
    "epochs": is_count,
    "steps": is_count,
    "environment": table(is_text),
    "parent": optional(has({"path": is_text, "epoch": optional(is_count), "step": optional(is_count)})),
}
_OF_A_COMPLETED_RUN = ("metrics", "objective", "best_epoch")


def write_overrides(directory: Path, overrides: list[str]) -> None:
    """Write `overrides.yaml`: what was typed, one list entry each."""
    write_text(directory / OVERRIDES, "".join(f"- {_quoted(override)}\n" for override in overrides))


def _quoted(text: str) -> str:
    """A string of YAML; what is not printable (line breaks, bytes of a path that are no text) is written as numbers."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'


def overrides(directory: Path) -> list[str]:
    """What `overrides.yaml` says was typed; nothing where it cannot be read."""
    try:
        written = inside.content(directory / OVERRIDES, _LONGEST_OVERRIDES).decode()
        if _PLAIN.fullmatch(written):  # as nearly every one is written: a hundredth of a parser's time
            return [line[3:-1].replace("''", "'") for line in written.splitlines()]
        found = yaml.load(inside.yaml_of(directory / OVERRIDES, _LONGEST_OVERRIDES), inside.yaml_loader())
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    words = found if isinstance(found, list) else []
    return words if all(isinstance(word, str) for word in words) else []


def write_result(directory: Path, result: dict[str, Any]) -> None:
    """Write `result.json`; values that are not finite become null, for JSON has no word for them."""
    write_text(directory / RESULT, json.dumps(finite(result), indent=2) + "\n")


def read_result(directory: Path) -> dict[str, Any]:
    """The content of `result.json`; empty if there is none, or if it is damaged or not what trainer writes."""
    try:
        found = known(inside.json_of(directory / RESULT, _LONGEST_RESULT), _SHAPES, ("status",))
        if found["status"] == "completed":
            known(found, _SHAPES, _OF_A_COMPLETED_RUN)
    except (OSError, ValueError):
        return {}
    return found


def pruned(result: dict[str, Any]) -> bool:
    """Whether the run was a trial that its search gave up, and has not come to its end."""
    return str(result.get("stopped")).startswith(PRUNED)


def finite(value: Any) -> Any:
    """`value` with every float that JSON cannot hold replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
