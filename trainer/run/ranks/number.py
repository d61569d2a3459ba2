"""How many ranks a command takes, and why. It needs no torch where there is no GPU's driver."""

from typing import Any

from trainer.system import machine
from trainer.system.errors import DeviceError
from trainer.system.shown import counted

# An epoch of mnist_lenet on two cores takes 2.2 s on two ranks and 2.5 s in one process of two threads where they have
# the cores to themselves, and took 12 s against over 100 s at a load of 10: the threads of one process wait for each
# other in each layer.
CONVOLUTIONS = ("lenet", "cifar_lenet", "lenet5")
FEWEST = 16  # samples of a batch that are worth a process


def chosen(config: Any, batch: int | None) -> tuple[int, list[str], str]:
    """How many ranks, the GPU of each where they have one, and what to say of it where `devices=auto` has chosen.

    `batch` is how many samples one of a training has; None: nothing is trained.

    Raises:
        DeviceError: There are not so many GPUs, or the device that is named is a single one.
    """
    asked, device = config.devices, config.device
    if asked == 1:
        return 1, [], ""
    gpus = machine.gpus() if device in ("auto", "cuda") else []
    if asked == "auto":
        size, why = _fitting(config, gpus, batch)
        return size, gpus[:size] if size > 1 else [], f"devices=auto: {size}, {why}"
    if device.partition(":")[0] == "mps" or ":" in device.replace("cpu:0", "cpu"):
        raise DeviceError(f"devices={asked} device={device}: that is one device", "leave device= out, or devices=")
    if (device == "cuda" or gpus) and asked > len(gpus):
        raise DeviceError(
            f"devices={asked}: this machine has {counted(len(gpus), 'GPU')}",
            f"use devices={max(1, len(gpus))}, or processes on the CPU: device=cpu",
        )
    return asked, gpus[:asked], ""


def _fitting(config: Any, gpus: list[str], batch: int | None) -> tuple[int, str]:
    if ":" in config.device or config.device == "mps":
        return 1, f"for device={config.device} is one"
    if gpus:
        return len(gpus), "all GPUs that are visible" if len(gpus) > 1 else "the one GPU that is visible"
    cores = machine.cores()
    if cores == 1:
        return 1, "for there is one core"
    if batch is None:
        return 1, f"whose {cores} threads share each batch"
    model = config.written("model").get("name") if config.given("model") else None
    if model not in CONVOLUTIONS:
        return 1, "for on a CPU only small convolutional nets gain by several (devices=2 to try it)"
    size = max(1, min(cores, batch // FEWEST))
    if size == 1:
        return 1, f"for batches of {batch} are too small to be shared"
    return size, "processes of one thread each, which other programs hold up least"
