"""Random numbers that a model draws for its samples: each rank draws those of the whole batch, and takes its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# It is torch's only way to see what is drawn below its functions, where dropout, stochastic depth and noise of any
# model come from the same dozen operators. The module has an underscore, as everybody's uses of it have; where torch
# moves it, nothing starts, and the tests of masks fail.


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within `of`, whatever is drawn for the samples of a part is drawn as one process would, which has all of them.

    All ranks have generators in the same state, draw the same numbers, and keep those of their own `rows`: so masks do
    not depend on how many ranks there are, and the generators stay in step. What is drawn has a dimension of samples
    where one is as long as the part: the first, or else the only such one, or else the first that is a multiple of it.
    Anything else, as noise on weights, is the same on each rank, as it is for all samples of one process.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows, self.own, self.whole = slice(0, 0), 0, 0
        self.seen = False  # whether anything was drawn
        self._draws: dict[Any, bool] = {}  # whether an operator draws

    def __deepcopy__(self, memo: Any) -> "Draws":
        return self

    @contextmanager
    def of(self, rows: slice, own: int, whole: int) -> Iterator[None]:
        """Within the block, the model computes `own` samples: `rows` of a batch of `whole`."""
        self.rows, self.own, self.whole = rows, own, whole
        with self:
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        draws = self._draws.get(func)
        if draws is None:
            draws = self._draws[func] = torch.Tag.nondeterministic_seeded in func.tags
        if not draws:
            return func(*args, **kwargs)
        self.seen = True
        return self._drawn(func, args, kwargs)

    def _drawn(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        places = [self._place(_shape(given)) for given in args]
        pairs = zip(args, places, strict=True)
        found = func(*(given if place is None else self._whole(given, *place) for given, place in pairs), **kwargs)
        place = next(filter(None, places), None)
        if place is None:
            return found
        if func._schema.name.endswith("_"):
            return args[0].copy_(self._cut(found, *place))
        if isinstance(found, tuple):
            return tuple(self._cut(each, *place) for each in found)
        return self._cut(found, *place)

    def _place(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """The dimension of samples, and how many numbers of it each sample has."""
        if not shape or self.own == self.whole:
            return None
        if shape[0] == self.own:
            return 0, 1
        if list(shape).count(self.own) == 1:
            return list(shape).index(self.own), 1
        each, more = divmod(shape[0], self.own)
        return (0, each) if each and not more and self.own > 1 else None

    def _whole(self, given: Any, dim: int, each: int) -> Any:
        """A tensor, or a shape, as one process has it; other samples than the rank's are 0."""
        shape = list(_shape(given))
        shape[dim] = self.whole * each
        if not isinstance(given, Tensor):
            return shape
        # Numbers are drawn in the order of memory, and so the whole lies in it as the part does.
        strides = given.stride()
        order = sorted(range(given.dim()), key=lambda side: (-strides[side], side))
        made = given.new_zeros([shape[side] for side in order]).permute(
            [order.index(side) for side in range(len(order))]
        )
        self._cut(made, dim, each).copy_(given)
        return made

    def _cut(self, whole: Tensor, dim: int, each: int) -> Tensor:
        """The rank's own samples."""
        return whole.narrow(dim, self.rows.start * each, self.own * each)


def _shape(given: Any) -> Sequence[int]:
    """The shape of a tensor, or one that is given; of anything else ()."""
    if isinstance(given, Tensor):
        return given.shape
    return given if isinstance(given, list | tuple) and all(isinstance(side, int) for side in given) else ()
