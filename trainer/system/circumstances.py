"""What is no fault of ours: a machine that is short of memory, files or processes; a file that is not the user's."""

import errno
import os
import re

from trainer.system.errors import RunError, TrainerError, TrainingFailedError

SMALLER = "try a smaller data.batch_size or data.eval_batch_size, a smaller model, or fewer data (data.limit=N)"
_ALLOCATED = re.compile(r"tried to allocate (?P<bytes>\d+) bytes|Unable to allocate (?P<size>[\d.]+ \w*iB)")


def explained(error: Exception) -> TrainerError | None:
    """The error that tells the user what is the matter, by what Python and torch say then; None: a bug."""
    said, code = str(error), getattr(error, "errno", None)
    if type(error).__name__ == "OutOfMemoryError":  # of torch, on a GPU
        return TrainingFailedError(f"out of memory: {said}", SMALLER)
    if isinstance(error, MemoryError) or code == errno.ENOMEM or _on_cpu(error):
        found = _ALLOCATED.search(said)
        size = found and (found["size"] or f"{int(found['bytes']) / 2**20:,.1f} MiB")
        return TrainingFailedError(f"out of memory{f': {size} more were needed' if size else ''}", SMALLER)
    if code in (errno.EMFILE, errno.ENFILE) or "Too many open files" in said:
        return TrainingFailedError(
            "too many open files for this process", "raise the limit (ulimit -n 4096), or use fewer data.workers"
        )
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return TrainingFailedError("no more threads or processes can be started", "raise the limit (ulimit -u)")
    if isinstance(error, RuntimeError) and said.startswith("DataLoader worker"):
        return TrainingFailedError(
            "a process that reads batches was killed", "perhaps for want of memory: use fewer, data.workers=0 or 1"
        )
    if isinstance(error, PermissionError) and error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
        return RunError(f"{name}: permission denied", "you may not read or write it; give another, or change its mode")
    return None


def _on_cpu(error: Exception) -> bool:
    """torch's own allocator for the CPU raises no MemoryError."""
    words = "DefaultCPUAllocator", "not enough memory: you tried to allocate", "Storage size calculation overflowed"
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)
