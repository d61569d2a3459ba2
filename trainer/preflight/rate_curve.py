"""The learning-rate range test, and short trainings at single rates: which rates learn, and which do not.

The range test is Smith's (Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3), with the learning
rate growing exponentially as in fastai. It says where the loss turns. What a rate is worth is decided by trainings at
that rate alone, for a test whose rate grows says nothing of a rate that has killed the model two steps ago.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

LOW, HIGH = 1e-6, 10.0  # learning rates of the range test
SMOOTHING = 0.9  # of the losses: what remains of the mean after a step
NOISE = 4.0  # standard deviations of the smoothed loss
STEP = 1 / 3  # from one rate that is tried to the next
DEEPEST = 6  # rates that are tried below the turning point
GOOD = 0.8  # of the best progress: rates that make so much of it are in the band
STAYING = 0.5  # of the best rate, for a training whose rate does not come down
TIE = 1.1  # times the least loss, which the loss of an equally good rate may be
LITTLE = 0.1  # of the best progress: a rate with less makes none


@dataclass
class Curve:
    """The losses of a range test."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of single steps
    smooth: list[float] = field(default_factory=list)  # their running mean, of those that are finite
    turned: bool = False  # whether it ended because the loss rose

    @property
    def turning(self) -> float:
        """The rate at which the smoothed loss is lowest."""
        return self.rates[min(range(len(self.smooth)), key=self.smooth.__getitem__)]


def growing(steps: int, low: float = LOW, high: float = HIGH) -> list[float]:
    """So many rates from `low` to `high`, each greater than the one before by the same factor."""
    return [low * (high / low) ** (number / (steps - 1)) for number in range(steps)]


def range_test(step: Callable[[float], float], rates: Sequence[float]) -> Curve:
    """Take a step at each rate, one after the other, until the loss is not finite or has plainly risen.

    It has when it is higher than at the beginning, or has lost half of what it had gained, by more than its noise.
    """
    curve, mean, few = Curve(), 0.0, max(5, len(rates) // 10)
    for number, rate in enumerate(rates, 1):
        loss = step(rate)
        curve.rates.append(rate)
        curve.losses.append(loss)
        if not math.isfinite(loss):
            curve.turned = True
            return curve
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        curve.smooth.append(mean / (1 - SMOOTHING**number))
        if number > 2 * few and _has_turned(curve, few):
            curve.turned = True
            return curve
    return curve


def _has_turned(curve: Curve, few: int) -> bool:
    start = fmean(curve.losses[:few])
    noise = NOISE * pstdev(curve.losses[:few]) * math.sqrt((1 - SMOOTHING) / (1 + SMOOTHING))
    last, best = curve.smooth[-1], min(curve.smooth[few:])
    fell = start - best > noise + 0.02 * abs(start)
    return last > start + noise + 0.1 * abs(start) or (fell and last > (best + start) / 2)


@dataclass(frozen=True)
class Tried:
    """What short trainings at single rates came to: the loss before, and after each, which may be inf.

    A rate that `stays` as high to the end, with batches that are a part of the samples, is suggested half as high: the
    first steps gain most at rates with which the last ones only wander about.
    """

    start: float
    losses: dict[float, float]
    stays: bool = False

    @property
    def best(self) -> float:
        """The least loss."""
        return min(self.losses.values())

    def progress(self, rate: float) -> float:
        """How far a rate came, of the best of them: 1; or below 0 where the loss grew."""
        gain = self.start - self.best
        return (self.start - self.losses[rate]) / gain if gain > 0 else -math.inf

    @property
    def _good(self) -> list[float]:
        return [rate for rate in self.losses if self.progress(rate) >= GOOD]

    @property
    def band(self) -> tuple[float, float]:
        """The least and the greatest rate that come nearly as far as the best."""
        return min(self._good), max(self._good)

    @property
    def suggestion(self) -> float:
        """The middle, as factors go, of the rates in the band that are as good as the best; to two digits."""
        ties = [rate for rate in self._good if self.losses[rate] <= self.best + (TIE - 1) * abs(self.best)]
        middle = math.sqrt(min(ties) * max(ties))
        return rounded(max(STAYING * middle, self.band[0]) if self.stays else middle)


def ladder(top: float) -> Iterator[float]:
    """The rates to try, downwards from where the loss turned."""
    return (rounded(top * STEP**number) for number in range(DEEPEST))


def rounded(rate: float) -> float:
    """A rate in two digits, which is what a person would type."""
    return float(f"{rate:.1e}")
