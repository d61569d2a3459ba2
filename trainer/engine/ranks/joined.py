"""Ranks that have met, through torch.distributed: gloo between CPUs, nccl between NVIDIA's GPUs."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.engine.ranks import Ranks
from trainer.engine.ranks.shared import Shared, shared
from trainer.system.errors import DeviceError, LostRankError, first_line
from trainer.system.seats import LOOPBACK, Seat

T = TypeVar("T")
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}  # small messages stay in main memory
SHORT = 512  # bytes of a message that need no second one


class Joined(Ranks):
    """One of several ranks. What they tell one another is JSON: reading it runs nothing, whoever has sent it."""

    shared: Shared | None = None  # memory, through which small messages go where there is such

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def sum(self, values: Tensor) -> None:
        of_all = self.shared.exchanged(values) if self.shared is not None else None
        if of_all is not None:
            torch.sum(of_all, 0, out=values.view(-1))
            return
        with _lost_if_failed():
            dist.all_reduce(values)

    def gathered(self, values: Tensor) -> Tensor:
        of_all = self.shared.exchanged(values) if self.shared is not None else None
        if of_all is not None:
            return of_all.clone().view(self.size, *values.shape)
        found = torch.empty((self.size, *values.shape), dtype=values.dtype, device=values.device)
        with _lost_if_failed():
            dist.all_gather(list(found), values.contiguous())
        return found

    def copy(self, values: Iterable[Tensor]) -> None:
        for each in values:
            dense = each.detach().contiguous()
            with _lost_if_failed():
                dist.broadcast(dense, 0)
            if dense.data_ptr() != each.data_ptr():
                with torch.no_grad():
                    each.copy_(dense)

    def told(self, value: T) -> T:
        said = json.dumps(value).encode() if self.first else b""
        message = _framed(said, SHORT)
        with _lost_if_failed():
            dist.broadcast(message, 0)
            length = _length(message)
            if length > SHORT - 4:
                message = _framed(said, length + 4)
                dist.broadcast(message, 0)
        found: T = _read(message)
        return found

    def of_all(self, value: T) -> list[T]:
        said = json.dumps(value).encode()
        messages = self.gathered(_framed(said, SHORT))
        longest = max(map(_length, messages))
        if longest > SHORT - 4:
            messages = self.gathered(_framed(said, longest + 4))
        return [_read(message) for message in messages]


def _framed(said: bytes, size: int) -> Tensor:
    """A message of so many bytes: its length, and as much of it as there is room for."""
    framed = (len(said).to_bytes(4, "big") + said)[:size].ljust(size, b"\0")
    return torch.frombuffer(bytearray(framed), dtype=torch.uint8)


def _length(message: Tensor) -> int:
    return int.from_bytes(bytes(message[:4].tolist()), "big")


def _read(message: Tensor) -> Any:
    return json.loads(message.numpy().tobytes()[4 : 4 + _length(message)])


@contextmanager
def _lost_if_failed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo's and nccl's errors of a connection are no more than that
        raise LostRankError(first_line(error)) from error


@contextmanager
def joined(seat: Seat, device: torch.device, timeout: float) -> Iterator[Ranks]:
    """The ranks of which this process has the `seat`, and computes on `device`, within the block.

    They wait for each other for `timeout` seconds at most.

    Raises:
        LostRankError: Not all ranks have come.
        DeviceError: There is no way for ranks on such a device.
    """
    if device.type not in BACKENDS:
        raise DeviceError(f"device={device.type}: several processes cannot train together there", "use devices=1")
    if seat.address == LOOPBACK and os.path.isdir("/sys/class/net/lo"):
        # gloo listens where the host's name points to, which others may reach.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    patience = timedelta(seconds=timeout)
    with _lost_if_failed():
        dist.init_process_group(
            BACKENDS[device.type],
            store=_store(seat, patience),
            rank=seat.rank,
            world_size=seat.size,
            timeout=patience,
            device_id=torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else None,  # numbered
        )
    ranks = Joined(seat.rank, seat.size)
    try:
        if device.type == "cpu":
            ranks.shared = shared(ranks, timeout)
        yield ranks
    finally:
        if ranks.shared is not None:
            ranks.shared.leave()
        with suppress(RuntimeError):  # what others say at their end is no matter
            dist.destroy_process_group()


def _store(seat: Seat, patience: timedelta) -> Any:
    """Where the ranks meet: rank 0 has it, unless torchrun has it already."""
    offered = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and seat.listening is None
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if offered else "0"
    store = dist.TCPStore(  # type: ignore[attr-defined]
        seat.address,
        seat.port,
        seat.size,
        is_master=seat.rank == 0 and not offered,
        timeout=patience,
        wait_for_workers=False,
        master_listen_fd=seat.listening if seat.rank == 0 else None,
        use_libuv=True,
    )
    return dist.PrefixStore(f"trainer/{again}", store)  # type: ignore[attr-defined]
