"""The constants of this machine: computing, input, checkpoints and start-up. The least of several rounds counts.

Others may be at work on the machine, and only ever make things slower. Each rank has one thread.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from trainer.models.lenet import LeNet
from trainer.system.atomic import replacing

ROUNDS, SECONDS = 5, 1.0  # so many calls at least, and for so long
MEGABYTE = 1e6


def least(call: Callable[[], object], rounds: int = ROUNDS, seconds: float = SECONDS) -> float:
    """The seconds of the fastest of several calls, after one for warm-up."""
    call()
    end = time.perf_counter() + seconds
    found: list[float] = []
    while len(found) < rounds or time.perf_counter() < end:
        found.append(_seconds(call))
    return min(found)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cifar_resnet18() -> nn.Module:
    """The residual network of 18 layers for small images: a first convolution of 3x3, no first pooling."""
    model = resnet18(num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()  # type: ignore[assignment]
    return model


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], tuple[int, ...]]] = {
    "mnist_lenet": (lambda: LeNet(1, 28, 10), (1, 28, 28), (1, 8, 32, 64, 512)),
    "cifar_resnet18": (cifar_resnet18, (3, 32, 32), (1, 4, 8, 16)),
    "resnet50_224": (resnet50, (3, 224, 224), (1, 4)),
}


class Steps:
    """A training of random images: what `trainer` does in a step, without anything around it."""

    def __init__(self, name: str, batch: int) -> None:
        make, shape, _ = MODELS[name]
        torch.manual_seed(0)
        self.model = make().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, fused=True)
        self.images = torch.randn(batch, *shape).to(memory_format=torch.channels_last)
        self.targets = torch.zeros(batch, dtype=torch.long)

    def backward(self) -> None:
        """Forward and backward."""
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.images), self.targets).backward()

    def __call__(self) -> None:
        self.backward()
        self.optimizer.step()

    @property
    def gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]


def computing(name: str) -> dict[str, Any]:
    """The seconds of a step by its batch, and the bytes of its gradients."""
    batches = MODELS[name][2]
    found = {}
    for batch in batches:
        step = Steps(name, batch)
        found[batch] = least(step, 3, seconds=3.0)
        size = sum(gradient.numel() * gradient.element_size() for gradient in step.gradients)
    return {"steps": found, "gradients": size}


def reading(folder: Path) -> dict[str, float]:
    """Bytes per second from memory in shuffled order, and from a file in stretches, warm and (where it can be) cold."""
    samples = torch.randint(0, 255, (20_000, 3, 32, 32), dtype=torch.uint8)
    order = torch.randperm(len(samples))[:8192]
    found = {"memory": order.numel() * 3072 / least(lambda: samples[order].float())}
    size, stretch = 256 * 2**20, 2**20
    path = folder / "read"
    path.write_bytes(os.urandom(stretch) * (size // stretch))

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            while file.read(stretch):
                pass

    found["file, warm"] = size / least(read, 3)
    cold = []
    for _ in range(3):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        cold.append(_seconds(read))
    found["file, not in the cache"] = size / min(cold)
    return found


def decoding() -> dict[str, float]:
    """Images per second and core: JPEG files decoded, and those of photographs cut and resized to 224 pixels."""
    from PIL import Image

    found = {}
    for name, side in (("JPEG of 32 pixels", 32), ("JPEG of 500 x 375 to 224 pixels", 0)):
        generator = torch.Generator().manual_seed(0)
        small = torch.randint(0, 255, (12, 16, 3), dtype=torch.uint8, generator=generator).numpy()
        size = (side, side) if side else (500, 375)
        file = io.BytesIO()
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)

        def decode(data: bytes = file.getvalue(), photo: bool = not side) -> None:
            for _ in range(50):
                image = Image.open(io.BytesIO(data)).convert("RGB")
                if photo:
                    image.resize((224, 224), Image.Resampling.BILINEAR, box=(60, 40, 400, 340))
                else:
                    image.load()

        found[name] = 50 / least(decode)
    return found


def saving(folder: Path) -> dict[float, float]:
    """Seconds until checkpoints of so many megabytes are on the disk."""
    found = {}
    for megabytes in (0.2, 10, 100):
        state = {"model": torch.randn(int(megabytes * MEGABYTE / 4))}

        def save(state: dict[str, Tensor] = state) -> None:
            with replacing(folder / "last.pt") as file:
                torch.save(state, file)

        found[megabytes] = least(save, 3)
    return found


def starting() -> dict[str, float]:
    """Seconds until torch is imported, and until a training of a few steps has ended as a whole."""

    def run(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)

    with tempfile.TemporaryDirectory() as folder:
        asked = ("train", "model=linear", "data.limit=100", "epochs=1", "plots=false", f"output={folder}")
        return {
            "import torch": least(run("-c", "import torch"), 2, seconds=0.0),
            "trainer train, one rank": least(run("-m", "trainer", *asked), 2, seconds=0.0),
            "trainer train, two ranks": least(run("-m", "trainer", *asked, "devices=2"), 2, seconds=0.0),
        }
