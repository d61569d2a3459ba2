"""scikit-learn's handwritten digits: bundled, so that everything can be tried without a download."""

import torch
import torch.nn.functional as F

from trainer import schema
from trainer.data.splits import Dataset, Split, Track


def load(config: schema.Digits, track: Track[object]) -> Dataset:
    """1,797 images of 8x8, scaled up to `size`; a fifth of each class, always the same, is the test split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
    size = config.size or 28
    large = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    everything = Split(large.round().to(torch.uint8), torch.from_numpy(labels).long())
    train, test = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return Dataset(
        "digits",
        train=everything.take(torch.tensor(train)),
        test=everything.take(torch.tensor(test)),
        classes=tuple(map(str, range(10))),
        standardise=True,
    )
