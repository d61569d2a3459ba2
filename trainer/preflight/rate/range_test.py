"""Whether the learning rate is one at which the model learns, and which rates are."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

from trainer.config.scheduler import Constant
from trainer.data.batches import Batch
from trainer.preflight import rate_curve
from trainer.preflight.finding import Finding
from trainer.preflight.rate_curve import LITTLE, Curve, Tried
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.show.values import duration
from trainer.system.paths import expanded
from trainer.system.shown import amount

ABOUT = "the learning rate"
LABEL = "optim.lr"
STEPS, MOST = 100, 1000  # of the range test, and of each training at one rate
SAMPLES = 3200  # that these are to see: of small batches there are more
FEWEST = 30  # steps, of a model that is slow
SECONDS = 20.0  # that all may take, unless it was asked for by name
TRIALS = 8  # as many steps as the range test has, at most
RAMP = 0.3  # of the steps, over which the rate grows where the schedule of the config begins lower
LEAST_GAIN = 0.01  # of the first loss: what falls by less has not been learnt


def look(subject: Subject) -> Iterator[Finding]:
    """Let the learning rate grow until the loss turns, then train for some steps at rates below it, and at that of the
    config."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    steps, needed = _steps(Trial(subject))
    named = not {"rate", "range_test"}.isdisjoint(subject.named)
    if steps < FEWEST and not named:
        yield Finding(LABEL, f"not tested, for it takes {duration(needed)} or more: check.only=rate does it")
        return
    steps = _wanted(Trial(subject)) if named else steps
    curve = rate_curve.range_test(Trial(subject).step, rate_curve.growing(steps))
    found = tried(subject, curve, steps)
    yield judged(subject.first.schedule.first_rate, found, _total(subject), steps)
    if subject.out is not None:
        _draw(subject, expanded(subject.out), curve, found)


def _wanted(trial: Trial) -> int:
    """The steps that are as many as it takes to see `SAMPLES`."""
    return max(STEPS, min(MOST, SAMPLES // max(trial.parts.samples)))


def _steps(trial: Trial) -> tuple[int, float]:
    """How many steps fit into the time, and the seconds that the fewest would take."""
    trial.step()  # the first has to set up what the others find
    begun, taken = time.perf_counter(), 0
    while taken < 5 and time.perf_counter() - begun < SECONDS / 20:
        trial.step()
        taken += 1
    each = (time.perf_counter() - begun) / taken
    return min(_wanted(trial), int(SECONDS / TRIALS / each)), FEWEST * TRIALS * each


def _total(subject: Subject) -> int:
    first = subject.first
    return first.plan.total_steps(len(first.samples))


def tried(subject: Subject, curve: Curve, steps: int) -> Tried:
    """Train at the rate of the config, and at those from where the loss turned downwards."""
    trial = Trial(subject)
    stays = isinstance(trial.parts.schedule.config, Constant) and len(trial.parts.train) > 1
    samples, mine = trial.seen(), trial.rate
    losses = {mine: _ended(trial, samples, mine, steps)}
    start = Trial(subject).level(samples)
    for rate in rate_curve.ladder(curve.turning):
        losses[rate] = _ended(Trial(subject), samples, rate, steps)
        found = Tried(start, losses, stays)
        below = [found.progress(other) < 0.5 for other in sorted(losses) if other < min(losses, key=losses.__getitem__)]
        if len(below) > 1 and all(below) and rate < mine:
            break  # the rates below learn ever less
    return Tried(start, losses, stays)


def _ended(trial: Trial, samples: Batch, rate: float, steps: int) -> float:
    """The loss of `samples` after so many steps at a rate; inf where a step's loss is not finite."""
    warms = trial.parts.optimizer.param_groups[0]["lr"] < trial.rate
    ramp = int(RAMP * steps) if warms else 0
    for number in range(1, steps + 1):
        if not math.isfinite(trial.step(rate * min(1.0, number / (ramp + 1)))):
            return math.inf
    return trial.level(samples)


def judged(rate: float, tried: Tried, total: int, steps: int) -> Finding:
    """What the tried rates say of that of the config, in a training of `total` steps.

    A rate is too high where the model makes no progress with it, and does with a smaller one. It is too low where it
    makes none, does with a larger one, and all steps of the training together go less far than those at the suggestion.
    """
    if not tried.start - tried.best > LEAST_GAIN * abs(tried.start):
        low, high = min(tried.losses), max(tried.losses)
        found = f"at no rate from {_typed(low)} to {_typed(high)} the loss falls in {steps} steps"
        return Finding(LABEL, found, "see what the looks at model and data say: check.only=[model,data]")
    (low, high), better, mine = tried.band, tried.suggestion, tried.progress(rate)
    went = f"from {amount(tried.start)} to {amount(tried.losses[rate])} in {steps} steps"
    band = f"rates from {_typed(low)} to {_typed(high)} do well, {_typed(better)} is suggested"
    band = f"{_typed(low)} does well, and is suggested" if low == high else band
    advice = f"optim.lr={_typed(better)}"
    if mine < LITTLE and better < rate:
        return Finding(LABEL, f"{_typed(rate)} is too high, the loss goes {went}; {band}", advice, wrong=True)
    if mine < LITTLE and rate * total < better * steps:
        return Finding(LABEL, f"{_typed(rate)} is too low, the loss goes {went}; {band}", advice, wrong=True)
    return Finding(LABEL, f"{_typed(rate)}: the loss goes {went}; {band}")


def _typed(rate: float) -> str:
    """A rate as it is typed."""
    return f"{rate:.3g}"


def _draw(subject: Subject, out: Path, curve: Curve, found: Tried) -> None:
    from trainer.run import subject as named
    from trainer.show.figures import rates
    from trainer.show.figures.style import save
    from trainer.show.lettering import lettering

    tested = rates.Tested(curve.rates, curve.losses, curve.smooth, found.losses, found.start)
    with lettering():
        figure = rates.draw(
            tested, subject.first.schedule.first_rate, found.suggestion, found.band, named.subject(subject.settled)
        )
    save(figure, out, "check.out")
