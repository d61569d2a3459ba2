"""Ways to take one optimizer step, ready made for the loop: eager, compiled, or captured as a CUDA graph."""

from collections.abc import Callable

from torch import nn

from trainer.data.batches import Batches
from trainer.errors import DeviceError
from trainer.loop import Batches as AnyBatches
from trainer.loop import Step
from trainer.steps.captured import CapturedStep, Drawn
from trainer.steps.compiled import Compiled
from trainer.steps.eager import EagerStep

WORTH_CAPTURING = 100  # steps of a training, from which on a CUDA graph pays


def kind(compile: str, device: str, steps: int) -> str:
    """What `compile=` means on a device, for a training of so many steps: off, inductor or cudagraph.

    Raises:
        DeviceError: CUDA graphs on another device.
    """
    if compile == "cudagraph" and device != "cuda":
        raise DeviceError(f"compile=cudagraph needs an NVIDIA GPU, not device={device}", "use compile=auto")
    if compile == "auto":  # on a CPU compiling took half a minute, and steps were no faster
        return "cudagraph" if device == "cuda" and steps >= WORTH_CAPTURING else "off"
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
