"""How deep the values of a pickle are nested, and how many they are: other code walks them by recursion."""

from typing import Any

from trainer.checkpoint.untrusted.values import DEVICE, DTYPES, LARGEST, SCALARS, TENSOR, Name, RefusedError, code

_DEEPEST = 50


def check(content: Any) -> None:
    """Check that `content` has tensors and plain values only, in containers that end somewhere.

    A container may contain itself, or share parts so that it unfolds without end.

    Raises:
        RefusedError: it is none of that, nested too deeply, or unfolds to too many values.
    """
    known: dict[int, tuple[int, int]] = {}

    def measured(value: Any, around: int) -> tuple[int, int]:
        """How many values there are in `value`, counting each as often as it is met, and how deep it is."""
        if not isinstance(value, list | dict | tuple):
            _check_leaf(value)
            return 1, 0
        count, depth = known.get(id(value), (1, 1))
        if around + depth > _DEEPEST:
            raise RefusedError("is damaged: it is nested too deeply")
        if id(value) not in known:
            for part in value.values() if isinstance(value, dict) else value:
                values, below = measured(part, around + 1)
                count, depth = count + values, max(depth, 1 + below)
                if count > LARGEST:
                    raise RefusedError("is damaged: it unfolds to too many values")
            known[id(value)] = count, depth
        return count, depth

    measured(content, 0)


def _check_leaf(value: Any) -> None:
    named = isinstance(value, Name) and value.name in DTYPES
    if not (named or value is TENSOR or value is DEVICE or isinstance(value, SCALARS)):
        raise code(value)
