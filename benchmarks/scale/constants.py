"""The constants of the model: what was measured here (`constants.json`), and what is assumed, with its source."""

import json
from pathlib import Path
from typing import Any

from benchmarks.scale.model import Device, Input, Network, Work

FILE = Path(__file__).parent / "constants.json"

# Assumed. A cluster of machines like this one: two ranks each, 10 Gbit/s Ethernet, 1.1 GB/s and 30 us of it usable.
ETHERNET_RATE, ETHERNET_HOP = 1.1e9, 30e-6
# Assumed. Latencies of nccl in seconds, as it estimates them itself to choose an algorithm (NVIDIA/nccl,
# src/graph/tuning.cc): by the protocol Simple 3.4 us a hop of a ring over NVLink and 9.6 us over the network, 28 and
# 50 us of a tree, whose bandwidth is 80 GB/s; by LL 0.85 and 2.7 us, 0.94 and 5 us, at a quarter of the bandwidth. The
# 7 us of a call are our guess.
CALL, TREE_RATE = 7e-6, 80e9
SIMPLE, LOW = (3.4e-6, 9.6e-6, 28e-6, 50e-6, 1.0), (0.85e-6, 2.7e-6, 0.94e-6, 5e-6, 0.25)
# Assumed. Eight A100 a machine: 235 GB/s of a ring over NVLink (the same file); eight network cards of 200 Gbit/s, of
# each of which 23 GB/s are usable (NVIDIA/nccl-tests, issue 290, expects 46 to 48 of one of 400 Gbit/s).
A100_PER_MACHINE, NVLINK_RATE, CARDS_RATE = 8, 235e9, 8 * 23e9
# Assumed. One A100, mixed precision: 2,470 images of 224 pixels per second of training a ResNet-50
# (NVIDIA/DeepLearningExamples, PyTorch/Classification/ConvNets/resnet50v1.5). The fixed part is our guess.
A100_RESNET50 = Device(((0, 3e-3), (256, 3e-3 + 256 / 2470)))
# Assumed. A ResNet-18 on 32 pixels has 0.56 of the 4.1 G multiplications of a ResNet-50 on 224, at half its
# utilisation.
A100_RESNET18 = Device(((0, 3e-3), (256, 3e-3 + 256 * 2 * 0.56 / 4.1 / 2470)))
# Assumed. A JPEG of 110 kB (ImageNet's mean), a network disk that gives 20 GB/s to all machines together, and for each
# GPU 12 cores that read, as fast as one of this machine's does.
PHOTO, SHARED_RATE, READERS = 110e3, 20e9, 12


def measured() -> dict[str, Any]:
    """The constants of `constants.json`."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def gloo(found: dict[str, Any]) -> Network:
    """Two ranks a machine as measured here, and Ethernet between machines."""
    sums = {float(size): seconds for size, seconds in found["sum"].items()}
    base, large = min(sums.values()), max(sums)
    rate = large / (sums[large] - base)  # of two ranks, each of which sends as many bytes as the buffer has
    return Network(2, 0.0, base / 2, ETHERNET_HOP, rate, ETHERNET_RATE, trees=False)


def nccl() -> Network:
    """Eight GPUs a machine."""
    low = None
    for inner, outer, tree_inner, tree_outer, share in (LOW, SIMPLE):
        rates = {"inner_rate": share * NVLINK_RATE, "outer_rate": share * CARDS_RATE, "tree_rate": share * TREE_RATE}
        hops = {"inner": inner, "outer": outer, "tree_inner": tree_inner, "tree_outer": tree_outer}
        low = Network(A100_PER_MACHINE, CALL, trees=True, low=low, **hops, **rates)
    assert low is not None
    return low


def device(found: dict[str, Any], name: str) -> Device:
    """One thread of this machine."""
    steps = {float(batch): seconds for batch, seconds in found["computing"][name]["steps"].items()}
    return Device(tuple(sorted(steps.items())))


def cases(found: dict[str, Any]) -> list[tuple[str, Work, Device, Network, Input]]:
    """What the tables are of: a title, a work, and what it runs on."""
    size = {name: each["gradients"] for name, each in found["computing"].items()}
    memory, photos = found["reading"]["memory"], found["decoding"]["JPEG of 500 x 375 to 224 pixels"]
    lenet = Work("mnist_lenet", 60_000, 10_000, 64, size["mnist_lenet"], 28 * 28, 10)
    resnet18 = Work("cifar_resnet18", 50_000, 10_000, 128, size["cifar_resnet18"], 3072, 10, norms=20, hidden=True)
    resnet50 = Work("resnet50_224", 1_281_167, 50_000, 256, size["resnet50_224"], PHOTO, 1000, norms=53, hidden=True)
    here, gpus = gloo(found), nccl()
    own = Input(memory, float("inf"))
    return [
        ("mnist_lenet, one CPU core a rank, gloo", lenet, device(found, "mnist_lenet"), here, own),
        ("cifar_resnet18, one CPU core a rank, gloo", resnet18, device(found, "cifar_resnet18"), here, own),
        ("cifar_resnet18, one A100 a rank, nccl", resnet18, A100_RESNET18, gpus, Input(1e12, float("inf"))),
        (
            f"resnet50_224, one A100 a rank, nccl, JPEG files read by {READERS} cores a rank",
            resnet50,
            A100_RESNET50,
            gpus,
            Input(READERS * photos * PHOTO, SHARED_RATE),
        ),
    ]
