"""The cost model: how long a step and an epoch of a work take on N ranks, and what bounds them. All times in seconds.

A step takes the longer of getting its samples (which is done meanwhile) and of computing and summing: all ranks wait
for the sum of the gradients, of which a backward pass may hide a part.
"""

import itertools
import math
from dataclasses import dataclass

BACKWARD = 2 / 3  # of a step's computing: two products where the forward pass has one
BUCKET = 25e6  # bytes of gradients that are summed at once during a backward pass (torch's DistributedDataParallel)
STATISTICS = 4 * 3 * 256  # bytes of a batch norm: sums, squares and a count, of some hundred channels


@dataclass(frozen=True)
class Work:
    """A model, its data, and how it is trained."""

    name: str
    samples: int  # of an epoch
    tests: int  # samples of an evaluation
    batch: int  # samples of a step of one rank, and where it is fixed, of all
    gradients: float  # bytes
    sample: float  # bytes of a sample, as it is kept
    classes: int
    norms: int = 0  # layers of batch norm, each of which is summed over the ranks, forward and backward
    hidden: bool = False  # whether the backward pass hides the sum: DistributedDataParallel instead of one flat buffer


@dataclass(frozen=True)
class Device:
    """What a rank computes with: seconds of a step by its samples, from few to many; between them, a line."""

    steps: tuple[tuple[float, float], ...]

    def seconds(self, samples: float) -> float:
        """A step of so many samples; beyond the first and the last, the line goes on."""
        pairs = list(itertools.pairwise(self.steps))
        (x, y), (x2, y2) = next((pair for pair in pairs if samples <= pair[1][0]), pairs[-1])
        return y + (samples - x) * (y2 - y) / (x2 - x)


@dataclass(frozen=True)
class Network:
    """What sums: latencies of a hop within a machine and between machines, and bytes per second in each."""

    per_machine: int  # ranks
    base: float  # of each call
    inner: float
    outer: float
    inner_rate: float
    outer_rate: float
    trees: bool  # whether it can also sum along a tree, as nccl does and gloo does not
    tree_inner: float = 0.0
    tree_outer: float = 0.0
    tree_rate: float = 1.0
    low: "Network | None" = None  # the same by a protocol of low latency, which has less bandwidth

    def all_reduce(self, size: float, ranks: int) -> float:
        """The sum of `size` bytes over all ranks, by the fastest way: a ring or a tree, of either protocol."""
        if ranks == 1:
            return 0.0
        return min(way._plain(size, ranks) for way in (self, self.low) if way is not None)

    def _plain(self, size: float, ranks: int) -> float:
        machines = math.ceil(ranks / self.per_machine)
        rate = self.inner_rate if machines == 1 else min(self.inner_rate, self.outer_rate)
        hops, between = 2 * (ranks - 1), 2 * (machines - 1)
        ring = (hops - between) * self.inner + between * self.outer + 2 * (ranks - 1) / ranks * size / rate
        if not self.trees:
            return self.base + ring
        along = ranks / machines - 1
        tree = (
            2 * (along * self.tree_inner + math.log2(machines) * self.tree_outer) + 2 * size / self.tree_rate
        )  # up and down
        return self.base + min(ring, tree)


@dataclass(frozen=True)
class Input:
    """How fast samples come: from each rank's own memory and cores, and from what all ranks share."""

    own: float  # bytes (or samples of `Work.sample` = 1) per second and rank
    shared: float  # the same for all ranks together: a network disk


@dataclass(frozen=True)
class Step:
    """The parts of a step; `whole` is what it takes."""

    compute: float
    sum: float  # that is waited for
    norms: float
    input: float

    @property
    def whole(self) -> float:
        return max(self.compute + self.sum + self.norms, self.input)

    @property
    def bound(self) -> str:
        """The part that takes most of it."""
        if self.input > self.compute + self.sum + self.norms:
            return "input"
        return max((("compute", self.compute), ("sum", self.sum), ("batch norm", self.norms)), key=lambda p: p[1])[0]


def step(work: Work, device: Device, network: Network, source: Input, ranks: int, batch: int) -> Step:
    """A step of a global `batch` on so many ranks, the one with the most samples of which is waited for."""
    own = math.ceil(batch / ranks)
    compute = device.seconds(own)
    whole = network.all_reduce(work.gradients, ranks)
    if work.hidden and ranks > 1:  # the last bucket is there when the backward pass is over
        last = network.all_reduce(min(BUCKET, work.gradients), ranks)
        whole = max(last, whole - BACKWARD * compute)
    norms = 2 * work.norms * network.all_reduce(STATISTICS, ranks)
    needed = own * work.sample / source.own
    shared = batch * work.sample / source.shared
    return Step(compute, whole, norms, max(needed, shared))


def evaluation(work: Work, device: Device, network: Network, ranks: int) -> float:
    """Batches go round the ranks, and every rank gets all outputs."""
    batches = math.ceil(work.tests / work.batch / ranks)
    forward = (1 - BACKWARD) * device.seconds(work.batch)
    return batches * (forward + network.all_reduce(4 * work.batch * work.classes * ranks, ranks) / 2)


def epoch(
    work: Work, device: Device, network: Network, source: Input, ranks: int, batch: int, checkpoint: float = 0.0
) -> float:
    """The steps of an epoch, its evaluation, and the `checkpoint` that is waited for."""
    steps = math.ceil(work.samples / batch)
    return (
        steps * step(work, device, network, source, ranks, batch).whole
        + evaluation(work, device, network, ranks)
        + checkpoint
    )


def strong(work: Work, device: Device, network: Network, source: Input, ranks: int) -> float:
    """The efficiency where the global batch stays that of one rank: of N ranks' time, the share that one would need."""
    one = step(work, device, network, source, 1, work.batch).whole
    return one / (ranks * step(work, device, network, source, ranks, work.batch).whole)


def weak(work: Work, device: Device, network: Network, source: Input, ranks: int) -> float:
    """The same where each rank has a batch of its own."""
    one = step(work, device, network, source, 1, work.batch).whole
    return one / step(work, device, network, source, ranks, work.batch * ranks).whole
