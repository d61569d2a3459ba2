"""Data sets in the format of MNIST: torchvision downloads them, but does not check the files that it reads."""

from typing import Any

from trainer.config.data import Downloaded
from trainer.data import idx
from trainer.data.cache import Allocate
from trainer.data.download import Source, kept
from trainer.data.splits import Dataset
from trainer.system.errors import DataError

SHAPE = (28, 28)


def of_kind(config: Downloaded, kind: str, classes: tuple[str, ...], mean: tuple[float], std: tuple[float]) -> Dataset:
    """Load a data set in MNIST's format: `kind` names torchvision's class and the folder below the root."""

    def download(root: str) -> None:
        from torchvision import datasets  # late: it takes longer to import than the files to read

        getattr(datasets, kind)(root, download=True)

    source = Source(config, kind, download)

    def make(allocate: Allocate) -> dict[str, Any]:
        for name, prefix in (("train", "train"), ("test", "t10k")):
            image_file, label_file = (
                idx.found(source.folder / "raw" / f"{prefix}-{content}-ubyte")
                for content in ("images-idx3", "labels-idx1")
            )
            images = idx.read(image_file, 3, source.hint)
            labels = idx.read(label_file, 1, source.hint)
            if images.shape[1:] != SHAPE:
                height, width = images.shape[1:]
                raise DataError(f"{image_file}: its images are {height} x {width}, not 28 x 28", source.hint)
            if len(labels) != len(images):
                counts = f"{len(labels)} labels, but {image_file.name} has {len(images)} images"
                raise DataError(f"{label_file} has {counts}", source.hint)
            for row in (labels >= len(classes)).nonzero()[0].tolist():
                wrong = f"label {row + 1} of {len(labels)} is {labels[row]}"
                raise DataError(f"{label_file}: {wrong}, and the classes are 0 to {len(classes) - 1}", source.hint)
            allocate(name, (*images.shape, 1), "uint8")[:] = images[..., None]
            allocate(f"{name}-targets", labels.shape, "int64")[:] = labels
        return {}

    found = kept(source, make)
    return Dataset(config.name, found.split("train"), found.split("test"), None, classes, mean, std, cache=found.note)
