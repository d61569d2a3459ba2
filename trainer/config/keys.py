"""How a key of a config is declared."""

import math
from dataclasses import field
from typing import Any

MISSING: Any = "???"  # OmegaConf's mark for a value that the user must give
MOST_RANKS = 1024  # processes that one command may start: more is a slip of the finger


def key(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    words: tuple[str, ...] | None = None,
    length: int | None = None,
    private: bool = False,
    runtime: bool = False,
    outward: bool = False,
    text: bool = False,
    positional: bool | str = False,
    flag: bool = False,
    often: bool = False,
    kind: str | None = None,
) -> Any:
    """Declare a key: a field of a dataclass with its meaning, its limits and its choices.

    `minimum`, `above`, `maximum` and `below` limit a number or each number of a list, whose size is `length`. One of
    `words` may stand in the place of a number or a list: such a key is declared as `int | str`, say. A `private` key
    says how to get something and not what it is: no checkpoint records it. A `runtime` key may change when a training
    is resumed, for the weights at a given step do not depend on it. An `outward` key leads out of the run, to a server,
    a shell or a folder that is written to: no file of a run sets it, for that may be a stranger's. A `text` key takes
    whatever is typed, such as a path, or the name of a column; or a list of those. A `positional` key is what words
    without a key are taken for, which help calls RUN, or as is said here: one of each verb at most. A `flag` is a key
    that may also be typed as `--NAME`. An `often` key is one that people set often, which the help of a verb explains;
    the others are only named there. Beside its `choices` a key takes the names of parts of the user's own of this
    `kind`, which stand in ./configs/KIND.
    """
    limits = {
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "below": below,
        "choices": choices,
        "words": words,
        "length": length,
        "kind": kind,
    }
    marks: dict[str, bool | str] = {"private": private, "runtime": runtime, "outward": outward, "text": text}
    marks |= {"positional": positional, "flag": flag, "often": often}
    metadata: dict[str, Any] = {"doc": doc, **marks} | {k: v for k, v in limits.items() if v is not None}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def ranks(what: str, note: str = "", **marks: Any) -> Any:
    """Declare the key `devices` of a verb whose processes share `what`; a `note` ends its meaning."""
    doc = f"how many processes share {what}, each with its own GPU or its part of the CPU's cores; auto: all GPUs, or "
    doc += f"on a CPU as many as are faster{note}"
    return key(1, doc, words=("auto",), minimum=1, maximum=MOST_RANKS, **marks)


def public(name: str) -> str:
    """A key as people type it: `from` is the field `from_`, for Python has that word for itself."""
    return name.removesuffix("_")


def shown(value: Any) -> str:
    """A value as people type it."""
    if isinstance(value, int) and abs(value) >= 10**100:  # Python would refuse to write some
        return f"{'-' if value < 0 else ''}10^{int(math.log10(abs(value)))}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return "null" if value is None else str(value)
