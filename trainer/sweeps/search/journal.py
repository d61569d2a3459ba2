"""What Optuna's journal of a search may hold, which is checked before Optuna reads it: the file may be a stranger's."""

import functools
import re
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from trainer.system.errors import RunError
from trainer.system.inside import content, parsed
from trainer.system.shapes import Shape, each, has, is_count, is_number, is_text, known, one_of, optional, table

JOURNAL = "study.journal"
NAME = "search"  # of the study in its journal
ROUND = "round"  # of a trial: the number of the first one that was under way together with it
HOPELESS = "hopeless"  # of a trial: the epoch after which it was found so
COMPLETE, FAILED = 1, 3  # Optuna's numbers of these states
ANEW = "begin another search: trainer train -m ..."
_LONGEST = 2**25  # bytes: a thousand trials of two hundred epochs each

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d)?")


def _time(value: Any) -> bool:
    return is_text(value) and bool(_TIME.fullmatch(value))


@functools.lru_cache(maxsize=1000)  # all trials have the same
def _distribution(written: str) -> dict[str, Any]:
    """A range or choices, as Optuna writes them: JSON within JSON.

    Raises:
        ValueError: It is neither.
    """
    found = parsed(written)
    if not _RANGE(found) and not _CHOICES(found):
        raise ValueError("it has something that is no range")
    return {"name": found["name"], **found["attributes"]}


def _contains(distribution: dict[str, Any], value: float) -> bool:
    """Whether a value, or the number of a choice, is one of those that a trial may have."""
    if "choices" in distribution:
        return value in range(len(distribution["choices"]))
    low, high, step = (distribution[name] for name in ("low", "high", "step"))
    if not low <= value <= high or (step is not None and step <= 0):
        return False
    if distribution["name"] == "IntDistribution":
        return bool(value == int(value) and (value - low) % (step or 1) == 0)
    steps = (value - low) / step if step is not None else 0
    return bool(abs(steps - round(steps)) < 1e-8)  # as Optuna judges it


def _over(value: Any) -> bool:
    """Optuna's number of the state of a trial that is complete, pruned or failed."""
    return is_count(value) and 1 <= value <= 3


def _value(value: Any) -> bool:
    return each(is_number)(value) and len(value) == 1


def _attribute(value: Any) -> bool:
    """What a pruner notes of a trial."""
    return value is None or isinstance(value, bool) or is_number(value) or is_text(value)


def _zero(value: Any) -> bool:
    """The number of the only study, and that of the state of a trial that has been begun."""
    return is_count(value) and value == 0


def _direction(value: Any) -> bool:
    return each(is_count)(value) and value in ([1], [2])


def _nothing(value: Any) -> bool:
    return value is None


def _empty(value: Any) -> bool:
    return value in ({},)


_RANGE = has(
    {
        "name": one_of("FloatDistribution", "IntDistribution"),
        "attributes": has({"low": is_number, "high": is_number, "step": optional(is_number)}, ("low", "high", "step")),
    },
    ("name", "attributes"),
)
_CHOICES = has(
    {"name": one_of("CategoricalDistribution"), "attributes": has({"choices": each(is_text)}, ("choices",))},
    ("name", "attributes"),
)
_ATTRIBUTES = table(_attribute)

# What trainer does with a study, by Optuna's codes for it.
_OPERATIONS: dict[int, dict[str, Shape]] = {
    0: {"study_name": one_of(NAME), "directions": _direction},
    4: {
        "study_id": _zero,
        "state": _zero,
        "value": _nothing,
        "values": _nothing,
        "distributions": table(is_text),
        "params": table(is_number),
        "user_attrs": table(is_count),
        "system_attrs": _ATTRIBUTES,
        "intermediate_values": _empty,
        "datetime_start": optional(_time),
    },
    6: {"trial_id": is_count, "state": _over, "values": optional(_value)},
    7: {"trial_id": is_count, "step": is_count, "intermediate_value": is_number},
    8: {"trial_id": is_count, "user_attr": table(is_count)},
    9: {"trial_id": is_count, "system_attr": _ATTRIBUTES},
}
_EVERY = {"worker_id": is_text, "datetime_complete": optional(_time), "datetime_start": optional(_time)}


def check(directory: Path) -> None:
    """Check that the journal of the search in `directory` holds what trainer writes; a last line may be cut off.

    Raises:
        RunError: it does not, or cannot be read.
    """
    path = directory / JOURNAL
    try:
        lines = content(path, _LONGEST).splitlines(keepends=True)
        for line in lines:
            try:
                _check(parsed(line))
            except JSONDecodeError:
                if line is not lines[-1] or line.endswith(b"\n"):
                    raise
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", ANEW) from error
    except ValueError as error:
        raise RunError(f"{path} is damaged", ANEW) from error


def _check(operation: Any) -> None:
    code = operation.get("op_code") if isinstance(operation, dict) else None
    if type(code) is not int or code not in _OPERATIONS:
        raise ValueError("it is nothing that a search writes")
    shapes = _OPERATIONS[code]
    found = known(operation, {**_EVERY, **shapes}, ("worker_id", *shapes))
    state = found.get("state")
    if (state == COMPLETE and not found["values"]) or (state == FAILED and found["values"]):
        raise ValueError("its value does not go with its state")
    ranges, values = found.get("distributions", {}), found.get("params", {})
    if ranges.keys() != values.keys() or not all(_contains(_distribution(ranges[key]), values[key]) for key in values):
        raise ValueError("its values are not in its ranges")
