"""The batches of several jobs, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from trainer.data.batches import Batches, Raw
from trainer.data.resident import Resident


@dataclass(frozen=True)
class Padding:
    """Where some jobs have fewer samples in a batch than others: how many each has, and which (jobs, B) are some."""

    counts: tuple[int, ...]
    mask: Tensor


StackedBatch = tuple[Tensor, Tensor, Padding | None]  # inputs, targets, and what is no sample among them


class Source(Protocol):
    """A source of stacked batches; `shared` says whether they are of shape (B, ...) for all, and not (jobs, B, ...)."""

    shared: bool
    sizes: list[int]
    apart: Sequence[list[int]]  # the sizes of each job's batches, where they differ; else empty

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StackedBatch]:
        """The batches of an epoch from batch `start` on."""

    def raw(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        """The samples of each batch: those of all jobs, one after the other."""

    def inputs(self, raw: Raw) -> StackedBatch:
        """Inputs and targets on the device."""


def stacked(each: Sequence[Batches]) -> Source:
    """The batches of these jobs, each in the order of its own seed."""
    same = all(batches.source is each[0].source for batches in each)
    return OfSameSamples(each) if same else OfOwnSamples(each)


class OfSameSamples:
    """The batches of several jobs with the same samples.

    If all jobs have the same order, they share each batch, which is gathered once: its inputs are (B, ...). Otherwise
    the inputs are (jobs, B, ...).
    """

    apart: Sequence[list[int]] = ()

    def __init__(self, each: Sequence[Batches]) -> None:
        first = each[0]
        seeds = list(dict.fromkeys(batches.seed for batches in each)) if first.depends_on_seed else [first.seed]
        self.shared = len(seeds) == 1
        self.drawing = [first] if self.shared else list(each)
        self.sizes = first.sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StackedBatch]:
        return map(self.inputs, self.raw(epoch, start))

    def raw(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        if self.shared:
            yield from self.drawing[0].raw(epoch, start)
            return
        orders: dict[int, Iterator[Raw]] = {b.seed: b.raw(epoch, start) for b in self.drawing}
        seeds = [batches.seed for batches in self.drawing]
        for raws in zip(*orders.values(), strict=True):
            of = dict(zip(orders, raws, strict=True))
            parts = zip(*(of[seed] for seed in seeds), strict=True)
            yield tuple(torch.cat(part) if isinstance(part[0], Tensor) else part[0] for part in parts)

    def inputs(self, raw: Raw) -> StackedBatch:
        inputs, targets = self.drawing[0].inputs(raw)
        if self.shared:
            return inputs, targets, None
        jobs = len(self.drawing)
        return inputs.view(jobs, -1, *inputs.shape[1:]), targets.view(jobs, -1, *targets.shape[1:]), None


class OfOwnSamples:
    """The batches of several jobs with samples of their own, as the folds of a data set are: (jobs, B, ...).

    All have as many batches an epoch. Where a job has fewer samples in one than others, zeros stand in their place.
    """

    shared = False

    def __init__(self, each: Sequence[Batches]) -> None:
        drawing = {(id(batches.source), batches.seed): batches for batches in each}
        self.drawing = [*drawing.values()]  # each is gathered once, whoever else has it
        self.places = [[*drawing].index((id(batches.source), batches.seed)) for batches in each]
        self.sizes = each[0].sizes
        sizes = [batches.sizes for batches in each]
        self.apart: Sequence[list[int]] = sizes if any(one != self.sizes for one in sizes) else ()
        self._paddings: dict[tuple[int, ...], Padding] = {}
        self._joined = self._join() if all(map(_is_plain, each)) else None
        self._firsts: dict[int, Tensor] = {}

    def _join(self) -> tuple[Tensor, Tensor, list[int]]:
        """All samples one after the other, of which a batch is gathered at once, and where those of each job begin."""
        sources: Any = {id(batches.source): batches.source for batches in self.drawing}
        inputs, targets = (torch.cat([getattr(s, name) for s in sources.values()]) for name in ("inputs", "targets"))
        firsts, start = {}, 0
        for key, source in sources.items():
            end = start + len(source.targets)
            source.inputs, source.targets = inputs[start:end], targets[start:end]  # not twice in memory
            firsts[key], start = start, end
        return inputs, targets, [firsts[id(self.drawing[place].source)] for place in self.places]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StackedBatch]:
        return map(self.inputs, self.raw(epoch, start))

    def raw(self, epoch: int, start: int = 0) -> Iterator[Raw]:
        for raws in zip(*(batches.raw(epoch, start) for batches in self.drawing), strict=True):
            yield tuple(part for raw in raws for part in raw)

    def inputs(self, raw: Raw) -> StackedBatch:
        parts = len(raw) // len(self.drawing)
        indices = raw[::parts]
        sizes = {len(rows) if isinstance(rows, Tensor) else 0 for rows in indices}
        if self._joined is not None and len(sizes) == 1 and 0 not in sizes:
            return self._gathered([indices[place] for place in self.places])
        found = [b.inputs(raw[i * parts : (i + 1) * parts]) for i, b in enumerate(self.drawing)]
        inputs, targets = (together([found[place][i] for place in self.places]) for i in (0, 1))
        counts = tuple(len(found[place][1]) for place in self.places)
        return inputs, targets, self._padding(counts, inputs) if len(set(counts)) > 1 else None

    def _gathered(self, indices: Sequence[Any]) -> StackedBatch:
        """The samples of these numbers, as many of each job."""
        inputs, targets, firsts = self._joined or self._join()
        jobs, size = len(indices), len(indices[0])
        if size not in self._firsts:  # as in `_padding`
            self._firsts[size] = torch.tensor(firsts).repeat_interleave(size).to(inputs.device)
        rows = torch.cat(list(indices)).add_(self._firsts[size])
        inputs, targets = inputs.index_select(0, rows), targets.index_select(0, rows)
        return inputs.view(jobs, size, *inputs.shape[1:]), targets.view(jobs, size, *targets.shape[1:]), None

    def _padding(self, counts: tuple[int, ...], inputs: Tensor) -> Padding:
        """The same one for the same counts: while a CUDA graph is recorded, none can be made."""
        if counts not in self._paddings:
            real = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
            self._paddings[counts] = Padding(counts, real.to(inputs.dtype).to(inputs.device))
        return self._paddings[counts]


def _is_plain(batches: Batches) -> bool:
    """Whether its samples lie on the device as they go into the model."""
    source = batches.source
    changed = batches.is_image or batches.augment is not None or batches.mixer is not None
    return isinstance(source, Resident) and source.rows is None and not changed


def together(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (N, ...) as one (jobs, N, ...), filled up with zeros to the longest."""
    longest = max(map(len, parts))
    filled: Any = [pad(p, [0] * (2 * p.dim() - 1) + [longest - len(p)]) if len(p) < longest else p for p in parts]
    return torch.stack(filled)
