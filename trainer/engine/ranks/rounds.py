"""Evaluation by several ranks: whole batches go round them, and all learn all answers, in the order of the split."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from trainer.data.batches import Batches
from trainer.engine.ranks import Ranks
from trainer.system.errors import StoppedError

Form = tuple[list[int], str]  # the shape of a sample's outputs, or of its target, and their type
ALIGNED = 16  # bytes


class Rounds:
    """Has each rank answer every so many-th batch; the answers of a round are sent to all.

    A batch is the same as one process evaluates, and all answers reach each rank in the same order: so every metric is
    that of one process to the bit. With each round goes what each rank has to say, and all hear the sums of that.
    """

    def __init__(
        self,
        ranks: Ranks,
        said: Callable[[], list[float]] = list,
        hear: Callable[[list[float]], object] = bool,
    ) -> None:
        self.ranks, self.said, self.hear = ranks, said, hear
        self.forms: list[Form] | None = None  # of outputs and targets

    def pace(self, seconds: float) -> float:
        """The seconds that rank 0 would take alone where all together took so many: all ranks reckon with the same."""
        return self.ranks.told(seconds * self.ranks.size)

    def answers(
        self, forward: Callable[[Tensor], Tensor], batches: Batches, stopped: Callable[[], object]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The outputs of `forward` for each batch, and the targets.

        Raises:
            StoppedError: `stopped` said so, on all ranks alike, before the last batch.
        """
        ranks, sizes = self.ranks, batches.sizes
        given = batches.every(ranks.size, ranks.rank)
        for first in range(0, len(sizes), ranks.size):
            if stopped():
                raise StoppedError
            of_round = sizes[first : first + ranks.size]
            own = None
            if ranks.rank < len(of_round):
                inputs, targets = next(given)
                own = forward(inputs), targets
            yield from self._exchanged(own, of_round, batches.device)

    def _exchanged(
        self, own: tuple[Tensor, Tensor] | None, sizes: Sequence[int], device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The answers of all ranks to batches of these `sizes`, of which this rank has its `own`."""
        if self.forms is None:
            mine: list[Form] = [([*of.shape[1:]], str(of.dtype).removeprefix("torch.")) for of in own or ()]
            self.forms = self.ranks.told(mine)
        said = self.said()
        forms: list[Form] = [([len(said)], "float64"), *(([max(sizes), *shape], kind) for shape, kind in self.forms)]
        message = _Message(forms, device)
        message.parts[0].copy_(torch.tensor(said))
        for part, values in zip(message.parts[1:], own or (), strict=False):
            part[: len(values)] = values
        of_all = [_Message(forms, device, whole).parts for whole in self.ranks.gathered(message.whole)]
        self.hear(torch.stack([sayings for sayings, *_ in of_all]).sum(0).tolist())
        for (_, outputs, targets), size in zip(of_all, sizes, strict=False):
            yield outputs[:size], targets[:size]


class _Message:
    """Tensors of several `forms` as one tensor of bytes, `whole`, of which they are views."""

    def __init__(self, forms: Sequence[Form], device: torch.device, whole: Tensor | None = None) -> None:
        kinds: list[torch.dtype] = [getattr(torch, kind) for _, kind in forms]
        lengths = [math.prod(shape) * kind.itemsize for (shape, _), kind in zip(forms, kinds, strict=True)]
        rooms = [-(-length // ALIGNED) * ALIGNED for length in lengths]
        self.whole = torch.empty(sum(rooms), dtype=torch.uint8, device=device) if whole is None else whole
        pieces = zip(self.whole.split_with_sizes(rooms), lengths, kinds, forms, strict=True)
        self.parts = [piece[:length].view(kind).view(shape) for piece, length, kind, (shape, _) in pieces]
