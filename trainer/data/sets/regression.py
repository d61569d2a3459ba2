"""`sklearn.datasets.make_regression`: a linear function with noise."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.config.data import Data
from trainer.config.keys import key

if TYPE_CHECKING:
    from trainer.data.splits import Dataset, Track


@dataclass
class Regression(Data):
    """`sklearn.datasets.make_regression`: a noisy linear function."""

    classifies: ClassVar[bool | None] = False
    name: str = key("regression", "registry name")
    n_samples: int = key(100, "training samples, and as many to test", minimum=2)
    n_features: int = key(1, "features", minimum=1)
    noise: float = key(10.0, "standard deviation of the noise", minimum=0)
    data_seed: int = key(0, "seed of the samples", minimum=0)


def load(config: Regression, track: "Track[object]") -> "Dataset":
    """The training split is make_regression's; the test split is drawn anew from the same function."""
    import numpy as np
    import torch
    from sklearn.datasets import make_regression

    from trainer.data.cache import check_room
    from trainer.data.splits import Dataset, Split

    def split(inputs: np.ndarray, targets: np.ndarray) -> Split:
        return Split(torch.from_numpy(inputs), torch.from_numpy(targets)[:, None])

    check_room(4 * 8 * config.n_samples * config.n_features)  # both splits, and copies of them for a moment
    inputs, targets, slope = make_regression(
        n_samples=config.n_samples,
        n_features=config.n_features,
        noise=config.noise,
        coef=True,
        random_state=config.data_seed,
    )
    fresh = np.random.default_rng(config.data_seed)
    test_inputs = fresh.standard_normal(inputs.shape)
    test_targets = test_inputs @ np.atleast_1d(slope) + config.noise * fresh.standard_normal(len(test_inputs))
    return Dataset("regression", train=split(inputs, targets), test=split(test_inputs, test_targets))
