"""The processes that train one model together, each of which computes its part of every batch.

What they have to know of one another goes through a `Ranks`. `ALONE` is that of a process without others, and imports
no torch.distributed; `joined` meets the others.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


class Ranks:
    """This process among `size`, as number `rank`. Here it is alone; `Joined` has others.

    All ranks call the same methods in the same order, with tensors of the same shapes and types: each call waits for
    the others'.
    """

    rank, size = 0, 1
    why: Callable[[], str] = str  # says why another rank was lost, as far as whoever started them all knows

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes the files and has the screen."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """The rows of `count` that are this rank's: in a row, as many as others have or one more; perhaps none."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, values: Tensor) -> None:
        """Put the sum over all ranks in the place of `values`: to the bit the same on each.

        Raises:
            LostRankError: Another rank has ended, or has not answered in time; so do the other methods.
        """

    def gathered(self, values: Tensor) -> Tensor:
        """The `values` (...) of all ranks, (size, ...), in their order."""
        return values[None]

    def copy(self, values: Iterable[Tensor]) -> None:
        """Put those of rank 0 in the place of the `values`."""

    def told(self, value: T) -> T:
        """What rank 0 passes, on all ranks: plain values, of which tuples become lists."""
        return value

    def of_all(self, value: T) -> list[T]:
        """What each rank passes, in their order, on all ranks: plain values, of which tuples become lists."""
        return [value]

    def __deepcopy__(self, memo: Any) -> "Ranks":
        return self  # of a model whose layers talk to other ranks there may be copies, of the ranks none


ALONE = Ranks()
