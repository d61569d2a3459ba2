"""What this machine has: cores and GPUs. They are found without torch if possible, whose import takes seconds."""

import ctypes
import os
import sys
from pathlib import Path


def cores() -> int:
    """The number of CPU cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """For each GPU that this process may use, the value of CUDA_VISIBLE_DEVICES that stands for it."""
    if not _driver():
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


def _driver() -> bool:
    """Whether torch may find a GPU. On Linux it needs NVIDIA's library, or AMD's device file."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
