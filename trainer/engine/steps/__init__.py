"""Ways to take one optimizer step, ready made for the loop: eager, compiled, or captured as a CUDA graph."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from trainer.config.train import Train
from trainer.data.batches import Batches
from trainer.engine import state
from trainer.engine.device import Compute
from trainer.engine.losses import Loss
from trainer.engine.schedule import Schedule
from trainer.engine.steps.captured import CapturedStep, RawBatches, capturable
from trainer.engine.steps.compiled import Compiled
from trainer.engine.steps.eager import EagerStep, SkippingStep
from trainer.system.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    from trainer.engine.ranks.agreement import Agreement

WORTH_CAPTURING = 100  # steps of a training, from which on a CUDA graph pays


def kind(compile: str, device: str, steps: int, on_nan: str = "stop", draws: bool = False, ranks: int = 1) -> str:
    """What `compile=` means on a device, for a training of so many steps: off, inductor or cudagraph.

    Raises:
        DeviceError: CUDA graphs on another device.
        ConfigError: CUDA graphs of steps that may be skipped, for each has to be looked at before it is taken; or of
            an augmentation of the user's own that `draws` while it runs. Or anything but `off` with several `ranks`.
    """
    if ranks > 1:
        if compile not in ("auto", "off"):
            raise ConfigError(f"compile={compile} is for one device, and this training has {ranks}", "use compile=auto")
        return "off"
    skips = on_nan == "skip"
    if skips and compile == "cudagraph":
        raise ConfigError("on_nan=skip looks at each step, which a CUDA graph does not allow", "use compile=auto")
    if draws and compile == "cudagraph":
        raise ConfigError(
            "data.augment: one of your own draws anew in each step, which a CUDA graph does not allow",
            "use compile=auto",
        )
    if compile == "cudagraph" and device != "cuda":
        raise DeviceError(f"compile=cudagraph needs an NVIDIA GPU, not device={device}", "use compile=auto")
    if compile == "auto":  # on a CPU compiling took half a minute, and steps were no faster
        return "cudagraph" if device == "cuda" and steps >= WORTH_CAPTURING and not (skips or draws) else "off"
    return compile


def make_step(
    kind: str,
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    train: Batches,
    compute: Compute,
    config: Train,
    say: Callable[[str], None],
    agreement: "Agreement | None" = None,
) -> tuple[state.Step, state.BatchSource]:
    """Make the step of that `kind`, and the batches as it takes them; `say` is told where the kind does not work.

    With an `agreement` its ranks take each step together.
    """
    if agreement is not None:
        from trainer.data.parts import PartBatches  # late, as one process does without
        from trainer.engine.steps.ranked import RankedSkippingStep, RankedStep

        given = model, loss, optimizer, config.clip_norm, compute.autocast, config.on_nan
        of_ranks = RankedSkippingStep if config.on_nan == "skip" else RankedStep
        together = of_ranks(*given, agreement=agreement, synced=config.sync_batchnorm != "false")
        return together, PartBatches(train, agreement.ranks.part)
    make = SkippingStep if config.on_nan == "skip" else EagerStep
    eager = make(model, loss, optimizer, config.clip_norm, compute.autocast, config.on_nan)
    if kind == "inductor":
        eager.forward = Compiled(model, say)
    if kind == "cudagraph":
        whole = capturable(optimizer) and not schedule.moves_momentum
        return CapturedStep(eager, train.inputs, whole, say), RawBatches(train)
    return eager, train
