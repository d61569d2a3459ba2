"""The batch whose loss was not finite, kept: what came in may explain what came out."""

from contextlib import suppress
from pathlib import Path

import torch

from trainer.run import drawing
from trainer.run.parts import Parts
from trainer.system.atomic import replacing
from trainer.system.errors import DivergedError, StorageError


def keep_batch(parts: Parts, directory: Path, error: DivergedError) -> None:
    """Save the batch that `error` is of, and add to its message where it is."""
    if error.batch is None:
        return
    state, size = parts.state, parts.plan.accumulate
    batches = parts.train.epoch(state.epoch, start=error.batch * size)
    read = [next(batches) for _ in range(min(size, len(parts.train) - error.batch * size))]
    inputs, targets = (torch.cat([batch[i] for batch in read]).cpu() for i in (0, 1))
    with suppress(StorageError), replacing(directory / "diverged.pt") as file:
        torch.save({"inputs": inputs, "targets": targets, "epoch": state.epoch + 1, "step": error.step}, file)
    if parts.data.is_image:
        from trainer.show import pictures  # late, for it imports matplotlib

        picture = pictures.batch(inputs, targets, parts.data)
        with suppress(StorageError):
            drawing.save(directory / "plots" / "diverged.png", drawing.encoded(picture))
    error.message = f"{error.message}; the batch of step {error.step} is in {directory / 'diverged.pt'}"
