"""MNIST as torchvision's documentation reads it: PIL images, ToTensor, Normalize."""

from typing import Any, TypeAlias

from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from benchmarks.contenders.job import EVAL_BATCH, Job

Images: TypeAlias = datasets.MNIST | Subset[Any]
Loader: TypeAlias = DataLoader[Any]


def mnist(job: Job) -> tuple[Images, Images]:
    """The training and the test images."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train = datasets.MNIST(str(job.data), train=True, transform=transform)
    test = datasets.MNIST(str(job.data), train=False, transform=transform)
    if job.limit is None:
        return train, test
    return Subset(train, range(min(job.limit, len(train)))), Subset(test, range(min(job.limit, len(test))))


def loaders(job: Job) -> tuple[Loader, Loader]:
    """Their batches, made by as many workers as the job says."""
    train, test = mnist(job)
    beside: dict[str, Any] = {
        "num_workers": job.workers,
        "persistent_workers": job.workers > 0,
        "pin_memory": job.device.startswith("cuda"),
    }
    return (
        DataLoader(train, batch_size=job.batch, shuffle=True, **beside),
        DataLoader(test, batch_size=EVAL_BATCH, **beside),
    )
