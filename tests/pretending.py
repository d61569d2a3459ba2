"""What the machine is like, as a test wants it: cores, free memory, the time. Patched where the system says it.

No module of `trainer` is named but the two of the last two functions: these tests do not care who asks.
"""

import ctypes
import errno
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ImageFile


def cores(patch: pytest.MonkeyPatch, count: int) -> None:
    """This process may run on so many cores."""
    patch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)


def gpus(patch: pytest.MonkeyPatch, *names: str) -> None:
    """There are these GPUs, as CUDA_VISIBLE_DEVICES names them."""
    patch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
    patch.setattr(ctypes, "CDLL", lambda name: None)  # the driver is there
    patch.setattr(torch.cuda, "is_available", lambda: True)


def free_memory(patch: pytest.MonkeyPatch, size: int) -> None:
    """So many bytes are free on every device: a container allows no more."""
    files = {"max": f"{size}\n", "current": "0\n", "stat": "active_file 0\ninactive_file 0\n"}
    system_files(patch, {f"/sys/fs/cgroup/memory.{name}": text for name, text in files.items()})
    patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (size, size))


def free_shared_memory(patch: pytest.MonkeyPatch, size: int) -> None:
    """So many bytes are free in /dev/shm."""
    plain = os.statvfs

    def statvfs(path: Any) -> os.statvfs_result:
        found = plain("/" if path == "/dev/shm" else path)
        return os.statvfs_result((size, 1, *found[2:4], size, *found[5:])) if path == "/dev/shm" else found

    patch.setattr(os, "statvfs", statvfs)


def system_files(patch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Below /proc and /sys there are these files alone."""
    plain = Path.read_text

    def read_text(path: Path, *args: Any, **keys: Any) -> str:
        if str(path) in files:
            return files[str(path)]
        if path.parts[:2] in (("/", "proc"), ("/", "sys")):
            raise FileNotFoundError(path)
        return plain(path, *args, **keys)

    patch.setattr(Path, "read_text", read_text)


def timestamps(patch: pytest.MonkeyPatch, stamps: Iterable[str] = itertools.repeat("2026-01-31_12-00-00")) -> None:
    """What run directories are named by; always the same second if nothing else is said."""
    left = iter(stamps)
    patch.setattr("trainer.run.directory.timestamp", lambda: next(left))


def lock_seconds(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """How long a run directory that another process holds is waited for."""
    patch.setattr("trainer.run.directory.LOCK_SECONDS", seconds)


def parallel_decoding(patch: pytest.MonkeyPatch) -> None:
    """Two processes decode a folder's images, however few there are."""
    patch.setattr("trainer.data.folder.decoding.PARALLEL", 1)
    cores(patch, 2)


def watching(patch: pytest.MonkeyPatch, seen: Callable[[Path], object]) -> None:
    """`seen` is called with every file that has been written whole, as soon as it has its name."""
    plain = os.replace

    def replace(source: Any, target: Any) -> None:
        plain(source, target)
        seen(Path(target))

    patch.setattr(os, "replace", replace)


def full_disk(patch: pytest.MonkeyPatch, concerns: Callable[[Path], object]) -> None:
    """There is no room for the files that `concerns`, which are otherwise written whole."""
    plain = os.replace

    def replace(source: Any, target: Any) -> None:
        if concerns(Path(target)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(target))
        plain(source, target)

    patch.setattr(os, "replace", replace)


def decoding(patch: pytest.MonkeyPatch, seen: Callable[[Path], object]) -> None:
    """`seen` is called with each image file before its pixels are read."""
    plain = ImageFile.ImageFile.load

    def load(image: ImageFile.ImageFile) -> Any:
        if image.tile:  # what is read already has none any more
            seen(Path(image.fp.name))  # type: ignore[union-attr]
        return plain(image)

    patch.setattr(ImageFile.ImageFile, "load", load)
