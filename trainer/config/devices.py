"""The names of devices, which can be checked without torch."""

import re

from trainer.system.errors import DeviceError, did_you_mean

KINDS = ("cpu", "cuda", "mps")
_NAME = re.compile(r"auto|mps|(cpu|cuda)(:\d{1,4})?")


def check(device: str) -> None:
    """Check the name of a device; whether this machine has it is for torch to say.

    Raises:
        DeviceError: There are no devices of such a name.
    """
    if not _NAME.fullmatch(device):
        kind = device.partition(":")[0]
        hint = "a number follows the colon: cuda:0" if kind in KINDS else did_you_mean(device, ("auto", *KINDS))
        raise DeviceError(f"device={device}: no such device", hint)
