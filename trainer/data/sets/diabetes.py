"""scikit-learn's diabetes table (Efron et al., 2004): regression without a download."""

import torch

from trainer.config import schema
from trainer.data.splits import Dataset, Split, Track, divide


def load(config: schema.Diabetes, track: Track[object]) -> Dataset:
    """442 patients, 10 features; the target is the disease's progression after a year (25 to 346)."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    everything = Split(torch.from_numpy(bunch.data), torch.from_numpy(bunch.target)[:, None])
    train, test = divide(len(everything), config.test_fraction, config.split_seed, "data.test_fraction")
    return Dataset(
        "diabetes",
        everything.take(train),
        everything.take(test),
        standardise=True,
        columns=tuple(bunch.feature_names),
    )
