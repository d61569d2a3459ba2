"""How far confidence is to be trusted: of samples that a model is 80% sure of, 80 in 100 should be right."""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15  # of equal width, as in Guo et al., On Calibration of Modern Neural Networks, 2017


@dataclass(frozen=True)
class Reliability:
    """Samples by the confidence in what was predicted: per bin their number, mean confidence and accuracy.

    Each is of shape (`BINS`,) and float64; mean and accuracy of a bin without samples are 0.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error: how far accuracy and confidence are apart, as a mean over the samples."""
        return float((self.counts * (self.accuracy - self.confidence).abs()).sum() / self.counts.sum())


def edges() -> Tensor:
    """Those of the bins, (`BINS` + 1,) from 0 to 1."""
    return torch.linspace(0, 1, BINS + 1, dtype=torch.float64)


def reliability(confidence: Tensor, right: Tensor) -> Reliability:
    """Put samples into bins, each with its upper edge: `confidence` (N,) in 0..1, and whether each is `right` (N,)."""
    confidence = confidence.double()
    places = torch.bucketize(confidence, edges()[1:-1])
    counts, sure, hits = (
        torch.zeros(BINS, dtype=torch.float64).index_add_(0, places, values)
        for values in (torch.ones_like(confidence), confidence, right.double())
    )
    some = counts.clamp(min=1)
    return Reliability(counts, sure / some, hits / some)
