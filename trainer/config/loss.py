"""The keys of each loss."""

from dataclasses import dataclass

from trainer.config.keys import MISSING, key

WEIGHTS = ("none", "balanced")


@dataclass
class Loss:
    """The key that every loss has."""

    name: str = key(MISSING, "registry name")


@dataclass
class CrossEntropy(Loss):
    """Cross-entropy of classes; each sample counts by the weight of its class in training, and as one in evaluation."""

    name: str = key("cross_entropy", "registry name")
    class_weight: list[float] | str = key(
        "none",
        "what a sample counts in training, by its class: none: all the same; balanced: each class as much as any "
        "other; or one number per class, in the order of the classes, of which only the ratios matter",
        words=WEIGHTS,
        minimum=0,
    )


@dataclass
class FittingLoss(CrossEntropy):
    """`cross_entropy` where the targets are classes, `mse` where they are values."""

    name: str = key("auto", "registry name")


@dataclass
class MSE(Loss):
    """Mean squared error."""

    name: str = key("mse", "registry name")


@dataclass
class HalfSSE(Loss):
    """Half the summed squared error."""

    name: str = key("half_sse", "registry name")


SHARED = Loss
OWN = None  # of a loss of the user's own trainer reads no key: all are for its class or function
