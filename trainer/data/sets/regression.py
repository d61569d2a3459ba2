"""`sklearn.datasets.make_regression`: a linear function with noise."""

import numpy as np
import torch

from trainer.config import schema
from trainer.data.cache import check_room
from trainer.data.splits import Dataset, Split, Track


def load(config: schema.Regression, track: Track[object]) -> Dataset:
    """The training split is make_regression's; the test split is drawn anew from the same function."""
    from sklearn.datasets import make_regression

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
    return Dataset("regression", train=_split(inputs, targets), test=_split(test_inputs, test_targets))


def _split(inputs: np.ndarray, targets: np.ndarray) -> Split:
    return Split(torch.from_numpy(inputs), torch.from_numpy(targets)[:, None])
