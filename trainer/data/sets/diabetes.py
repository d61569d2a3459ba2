"""scikit-learn's diabetes table (Efron et al., 2004): regression without a download."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.config.data import Rows
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Diabetes(Rows):
    """scikit-learn's bundled regression table: 442 patients, 10 features."""

    classifies: ClassVar[bool | None] = False
    name: str = key("diabetes", "registry name")


def load(config: Diabetes, track: "Track[object]") -> "Dataset":
    """442 patients, 10 features; the target is the disease's progression after a year (25 to 346)."""
    import torch
    from sklearn.datasets import load_diabetes

    from trainer.data.dividing import divide
    from trainer.data.splits import Dataset, Split

    bunch = load_diabetes(scaled=False)
    everything = Split(torch.from_numpy(bunch.data), torch.from_numpy(bunch.target)[:, None])
    train, test = divide(len(everything), config.test_fraction, config.split_seed, "data.test_fraction")
    return Dataset(
        "diabetes",
        everything.take(train),
        everything.take(test),
        standardise=True,
        columns=tuple(bunch.feature_names),
        quantities=("progression after a year",),
    )
