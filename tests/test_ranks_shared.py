"""Ranks of one machine send one another small messages through memory that they share."""

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from ranked import Crew, crew
from torch import Tensor

from trainer.engine.ranks import Ranks
from trainer.engine.ranks.joined import Joined
from trainer.engine.ranks.shared import LARGEST, Shared, _places
from trainer.system.errors import LostRankError
from trainer.system.workers import born


@pytest.fixture(scope="module")
def three() -> Iterator[Crew]:
    with crew(3) as made:
        yield made


def both(peers: list[list[int]], timeout: float = 30.0) -> tuple[Shared, Shared]:
    """Two ranks of this process."""
    memory = mmap.mmap(-1, _places(2) + 4 * LARGEST)
    return Shared(memory, 0, peers, timeout), Shared(memory, 1, peers, timeout)


def alive() -> list[list[int]]:
    since = born(os.getpid())
    assert since is not None
    return [[os.getpid(), since]] * 2


def messages(ranks: Ranks) -> tuple[bool, list[tuple[Tensor, Tensor]]]:
    """Sums and gathered values of several types and lengths, through memory and without it."""
    assert isinstance(ranks, Joined)
    memory, found = ranks.shared, []
    generator = torch.Generator().manual_seed(ranks.rank)
    for length in (1, 7, 100_000, LARGEST // 8 + 1, 7):
        for dtype in (torch.float32, torch.float64):
            values = torch.randn(length, dtype=dtype, generator=generator).view(1, -1)
            both_ways = []
            for ranks.shared in (memory, None):
                summed = values.clone()
                ranks.sum(summed)
                both_ways.append(torch.cat([summed, ranks.gathered(values)[:, 0]]))
            found.append((both_ways[0], both_ways[1]))
    ranks.shared = memory
    return memory is not None, found


def test_messages_through_memory_are_those_of_torch_distributed(three: Crew) -> None:
    answers = three.do(messages)
    assert all(there for there, _ in answers) == (sys.platform == "linux" and os.uname().machine == "x86_64")
    for _, found in answers:
        for through, without in found:
            torch.testing.assert_close(through, without, rtol=1e-6, atol=1e-6)
    for found in zip(*(found for _, found in answers), strict=True):  # each rank has the same sums, to the bit
        assert all(torch.equal(through, found[0][0]) for through, _ in found)


def test_a_rank_may_be_a_message_ahead() -> None:
    first, second = both(alive())
    read: list[float] = []

    def follow() -> None:
        for number in range(2000):
            of_all = second.exchanged(torch.tensor([float(number)]))
            assert of_all is not None
            read.append(float(of_all.sum()))

    thread = threading.Thread(target=follow)
    thread.start()
    for number in range(2000):
        of_all = first.exchanged(torch.tensor([2.0 * number]))
        assert of_all is not None
        assert float(of_all.sum()) == 3.0 * number
    thread.join(30)
    assert read == [3.0 * number for number in range(2000)]


def test_a_rank_that_has_left_is_not_waited_for() -> None:
    first, second = both(alive())
    second.leave()
    with pytest.raises(LostRankError, match="gone"):
        first.exchanged(torch.zeros(3))


def test_a_rank_whose_process_has_ended_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        since = born(process.pid)
        assert since is not None
        first, _ = both([alive()[0], [process.pid, since]])
        process.kill()
        with pytest.raises(LostRankError, match="gone"):  # a zombie, whom nobody has asked after yet
            first.exchanged(torch.zeros(3))


def test_a_rank_that_is_silent_is_waited_for_as_long_as_is_said() -> None:
    first, _ = both(alive(), timeout=0.1)
    with pytest.raises(LostRankError, match=r"silent for 0\.1 s"):
        first.exchanged(torch.zeros(3))
