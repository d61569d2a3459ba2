"""Floating-point operations, counted as torch counts them, without its compiler."""

from collections.abc import Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _Counting:
    """What `Counter` does with an operation; a class of its own, see there."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:  # type: ignore[attr-defined]  # it is a mode, too
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result

    def get_total_flops(self) -> int:
        """The operations of all that has been called within the block so far."""
        return self.total


class Counter(_Counting, TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within the block the FLOPs of operations are counted, by torch's own formulas.

    This counts as `torch.utils.flop_counter.FlopCounterMode` does. That one imports torch's compiler at its first
    operation, which takes three seconds of CPU, to keep the compiler away from itself: torch does so with every mode
    that has a `__torch_dispatch__` in its own body, and not where it is inherited from a class that is none.

    Raises:
        NotImplementedError: within the block, of `torch.cond` and the like, which take functions.
    """
