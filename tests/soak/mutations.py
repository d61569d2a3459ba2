"""Structure-aware changes of what a checkpoint holds: entries dropped, retyped, nested, enlarged; tensors turned."""

import contextlib
import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

DTYPES = [
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.bool),
    *(torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128, torch.float8_e5m2),
]
NUMBERS = [
    *(0, 1, -1, 2, 7, 255, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, True, False),
    *(0.0, -0.0, 0.5, -1.5, 1e-300, 1e30, 1e308, -1e308, math.nan, math.inf, -math.inf),
]
TEXTS = [
    *("", "x", "nan", "1", "../../escaped", "/tmp/escaped", "x" * 300, "\x1b[2J\x07", "a\nb", "[red]"),
    *("\ud800", "\0"),
]
NAMES = ["value", "step", "lr", "momentum_buffer", "exp_avg", "state", "_target_", "", "../x", 0, 99, -1, None, True]


def mutated(content: Any, dice: random.Random) -> tuple[Any, list[str]]:
    """A copy of `content` with one to three changes, and what they were."""
    changed, said = copy.deepcopy(content), []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(Exception):  # what one change has left may be nothing for the next
            changed, what = _somewhere(changed, dice, "")
            said.append(what)
    return changed, said


def _somewhere(value: Any, dice: random.Random, where: str) -> tuple[Any, str]:
    """`value` with a change in it, or of it, and where."""
    within = isinstance(value, dict | list | tuple) and len(value) > 0
    if within and dice.random() < (1.0 if not where else 0.85):
        entries = value if isinstance(value, dict) else dict(enumerate(value))
        key = dice.choice(list(entries))
        entries[key], what = _somewhere(entries[key], dice, f"{where}.{key}")
        if entries[key] is _DROPPED:
            del entries[key]
        return (entries if isinstance(value, dict) else type(value)(entries.values())), what
    if where == ".description" and isinstance(value, str) and dice.random() < 0.8:
        inner, what = _somewhere(json.loads(value), dice, f"{where}.")
        return json.dumps(inner, default=repr), what
    kinds = [*_ANYTHING, *next((kinds for type_, kinds in _KINDS if isinstance(value, type_)), [])]
    kind = dice.choice(kinds)
    return kind(value, dice), f"{where} {kind.__name__.strip('_')}"


_DROPPED = object()


def _dropped(value: Any, dice: random.Random) -> Any:
    return _DROPPED


def _none(value: Any, dice: random.Random) -> Any:
    return None


def _foreign(value: Any, dice: random.Random) -> Any:
    tensors = [torch.zeros(0), torch.tensor(1.0), torch.ones(3), torch.zeros(2, 3, dtype=torch.int64)]
    nested = [[], {}, [1, [2, [3]]], {"a": {"b": None}}, ("x",), *tensors]
    return dice.choice([dice.choice(NUMBERS), dice.choice(TEXTS), dice.choice(nested)])


def _in_a_list(value: Any, dice: random.Random) -> Any:
    return [value] * dice.choice((1, 2, 5))


def _in_a_dictionary(value: Any, dice: random.Random) -> Any:
    return {dice.choice(NAMES): value}


def _nested(value: Any, dice: random.Random) -> Any:
    for _ in range(dice.choice((3, 30, 60))):
        value = [value]
    return value


def _another_number(value: float, dice: random.Random) -> Any:
    return dice.choice([*NUMBERS, value + 1, value - 1, -value, value * 1000, str(value), torch.tensor(value)])


def _as_float(value: float, dice: random.Random) -> Any:
    return float(value)


def _another_text(value: str, dice: random.Random) -> Any:
    return dice.choice([*TEXTS, value + "x", value[:-1], value.upper(), value * 50, value.encode(errors="replace")])


def _one_more(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        return value | {dice.choice(NAMES): dice.choice([*value.values(), None, 1])}
    return type(value)([*value, *(value[:1] or [0])])


def _emptied(value: Any, dice: random.Random) -> Any:
    return type(value)()


def _repeated(value: Any, dice: random.Random) -> Any:
    return value * dice.choice((2, 500))


def _turned(value: Any, dice: random.Random) -> Any:
    return value[::-1]


def _other_sequence(value: Any, dice: random.Random) -> Any:
    return list(value) if isinstance(value, tuple) else tuple(value)


def _renamed(value: dict[Any, Any], dice: random.Random) -> Any:
    keys = [*value]
    if keys:
        value = {(dice.choice(NAMES) if key == keys[0] else key): entry for key, entry in value.items()}
    return value


def _exchanged(value: dict[Any, Any], dice: random.Random) -> Any:
    entries = [*value.values()]
    dice.shuffle(entries)
    return dict(zip(value, entries, strict=True))


def _keys_of_text(value: dict[Any, Any], dice: random.Random) -> Any:
    return {str(key): entry for key, entry in value.items()}


def _of_another_type(value: Tensor, dice: random.Random) -> Any:
    return value.to(dice.choice(DTYPES))


def _of_another_shape(value: Tensor, dice: random.Random) -> Any:
    shapes = [
        value.flatten,
        lambda: value[None],
        lambda: value[..., None],
        lambda: value.reshape(-1)[:1].clone(),
        lambda: value.reshape(-1)[:0].clone(),
        lambda: value.reshape(-1)[: value.numel() // 2].clone(),
        lambda: torch.cat([value, value]) if value.dim() else value[None],
        lambda: torch.zeros([2 * size for size in value.shape], dtype=value.dtype),
        lambda: torch.zeros(300_000, dtype=value.dtype),
        lambda: value.reshape(-1)[0].clone() if value.numel() else value,
    ]
    return dice.choice(shapes)()


def _of_another_layout(value: Tensor, dice: random.Random) -> Any:
    one = value.reshape(-1)[:1] if value.numel() else torch.zeros(1, dtype=value.dtype)
    layouts = [
        lambda: one[0].expand(value.shape),
        lambda: torch.zeros(value.numel() + 9, dtype=value.dtype).as_strided(value.shape, (1,) * value.dim()),
        lambda: torch.stack([value, value], -1)[..., 0],
        lambda: value.transpose(0, -1).contiguous().transpose(0, -1) if value.dim() > 1 else value,
        lambda: value.transpose(0, -1) if value.dim() > 1 else value,
        lambda: torch.cat([value.reshape(-1), value.reshape(-1)])[value.numel() :].view(value.shape),
        lambda: value.to_sparse(),
        lambda: torch.nn.Parameter(value, requires_grad=value.is_floating_point()),
    ]
    return dice.choice(layouts)()


def _of_other_values(value: Tensor, dice: random.Random) -> Any:
    number = torch.tensor(float(dice.choice(NUMBERS)), dtype=torch.float64).to(value.dtype)
    changed = value.flatten().clone()
    if changed.numel() and dice.random() < 0.5:
        changed[dice.randrange(changed.numel())] = number
    else:
        changed[:] = number
    return changed.view(value.shape)


_ANYTHING: list[Callable[[Any, random.Random], Any]] = [
    *(_dropped, _dropped, _none, _foreign, _foreign, _in_a_list, _in_a_dictionary, _nested),
]
_KINDS: list[tuple[Any, list[Callable[[Any, random.Random], Any]]]] = [
    (Tensor, [_of_another_type, _of_another_shape, _of_another_layout, _of_other_values] * 4),
    (bool, [_another_number] * 4),
    (int | float, [*[_another_number] * 6, _as_float]),
    (str, [_another_text] * 6),
    (dict, [_one_more, _one_more, _emptied, _renamed, _exchanged, _keys_of_text]),
    (list | tuple, [_one_more, _emptied, _repeated, _turned, _other_sequence]),
]
