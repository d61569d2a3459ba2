"""Ways to take one optimizer step, ready made for the loop: eager, compiled, or captured as a CUDA graph."""

from collections.abc import Callable

from torch import nn

from trainer.data.batches import Batches
from trainer.engine.loop import Batches as AnyBatches
from trainer.engine.loop import Step
from trainer.engine.steps.captured import CapturedStep, Drawn
from trainer.engine.steps.compiled import Compiled
from trainer.engine.steps.eager import EagerStep
from trainer.system.errors import ConfigError, DeviceError

WORTH_CAPTURING = 100  # steps of a training, from which on a CUDA graph pays


def kind(compile: str, device: str, steps: int, skips: bool = False) -> str:
    """What `compile=` means on a device, for a training of so many steps: off, inductor or cudagraph.

    `skips` says that each step is looked at before it is taken, which a graph cannot.

    Raises:
        DeviceError: CUDA graphs on another device.
        ConfigError: CUDA graphs of steps that may be skipped.
    """
    if skips and compile == "cudagraph":
        raise ConfigError("on_nan=skip looks at each step, which a CUDA graph does not allow", "use compile=auto")
    if compile == "cudagraph" and device != "cuda":
        raise DeviceError(f"compile=cudagraph needs an NVIDIA GPU, not device={device}", "use compile=auto")
    if compile == "auto":  # on a CPU compiling took half a minute, and steps were no faster
        return "cudagraph" if device == "cuda" and steps >= WORTH_CAPTURING and not skips else "off"
    return compile


def prepared(
    kind: str, eager: EagerStep, model: nn.Module, train: Batches, whole: bool, say: Callable[[str], None]
) -> tuple[Step, AnyBatches]:
    """The step of that kind, and the batches as it takes them; `whole` as in `CapturedStep`."""
    if kind == "inductor":
        eager.forward = Compiled(model, say)
    if kind == "cudagraph":
        return CapturedStep(eager, train.ready, whole, say), Drawn(train)
    return eager, train
