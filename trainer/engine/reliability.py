"""Whether samples that a model is 80% sure of are told right in 80 of 100 cases."""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15  # of equal width, as is usual since Guo et al., On Calibration of Modern Neural Networks, 2017


@dataclass(frozen=True)
class Bins:
    """Samples by the confidence in what was predicted: per bin (`BINS`,) their number, mean confidence and accuracy.

    The mean and accuracy of a bin without samples are 0.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of accuracy and confidence, over the samples."""
        return float((self.counts * (self.accuracy - self.confidence).abs()).sum() / self.counts.sum())


def binned(confidence: Tensor, right: Tensor) -> Bins:
    """Samples in bins of equal width, each with its upper edge, by `confidence` (N,) in 0..1, and which are `right`."""
    places = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    counts = torch.bincount(places, minlength=BINS).double()
    sums = (torch.bincount(places, values.double(), minlength=BINS) for values in (confidence, right))
    mean, accuracy = (found / counts.clamp(min=1) for found in sums)
    return Bins(counts, mean, accuracy)
