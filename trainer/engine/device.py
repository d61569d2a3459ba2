"""Devices and precision: what a run asks for, and what this machine has."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from trainer.config import devices
from trainer.system.errors import DeviceError


@dataclass(frozen=True)
class Compute:
    """Where and in which precision a run computes."""

    device: torch.device
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """The type of weights and inputs."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for `bfloat16`, otherwise a context that does nothing."""
        if self.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def __str__(self) -> str:
        words = [str(self.device)]
        if self.device.type == "cuda":
            words.append(torch.cuda.get_device_name(self.device))
        if self.device.type == "cpu":
            threads = torch.get_num_threads()
            words.append(f"{threads} thread{'s' * (threads > 1)}")
        return ", ".join([*words, self.precision])


def available() -> list[str]:
    """The devices that `device=` can name here."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cuda, *mps]


def choose(device: str, precision: str, deterministic: bool = False) -> Compute:
    """Turn `device=` and `precision=` into a `Compute`, and set torch's own switches for it.

    Raises:
        DeviceError: there is no such device here, or it cannot compute in this precision.
    """
    devices.check(device)
    here = available()
    if device == "auto":
        device = next((d for d in here if d.startswith("cuda")), here[-1])
    device = "cpu" if device == "cpu:0" else device
    kind = device.split(":")[0]
    if (device != kind and device not in here) or not any(d.startswith(kind) for d in here):
        reason = (
            "this torch is built without CUDA" if kind == "cuda" and torch.version.cuda is None else "not available"
        )
        raise DeviceError(
            f"device={device}: {reason} here", f"available: {', '.join(here)} (device=auto takes the best)"
        )
    if precision == "tf32" and kind != "cuda":
        raise DeviceError(
            f"precision=tf32 needs an NVIDIA GPU, not device={device}", "precision=float32 works anywhere"
        )
    if precision == "float64" and kind == "mps":
        raise DeviceError("precision=float64: Apple's devices do not have it", "use precision=float32 or device=cpu")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as torch's notes on reproducibility ask for
        torch.backends.cudnn.benchmark = False
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and not needed
    if deterministic != torch.are_deterministic_algorithms_enabled():  # setting it imports torch's compiler
        torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    found = torch.device(device)
    if found.index is not None and kind == "cuda":
        torch.cuda.set_device(found)  # pinned memory, for one, belongs to the current GPU
    return Compute(found, precision)
