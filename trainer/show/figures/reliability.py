"""The reliability diagram: accuracy by confidence, with the expected calibration error."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from trainer.engine.outcome import Outcome
from trainer.engine.reliability import BINS, edges
from trainer.show.figures.style import MARK, SMALL, WRONG, colour, head, key, labelled, page, panel
from trainer.system.shown import share

SIDE, BELOW = 3.6, 1.1  # inches of the axes with the accuracy, and of those with the counts
EVEN = 0.005  # a difference of accuracy and confidence that is none
LEFT, WIDE = 0.65, 6.6


def draw(outcome: Outcome, subject: str) -> Figure | None:
    """Accuracy by confidence, and below it how many samples have that confidence; None in regression."""
    if outcome.classes is None:
        return None
    bins = outcome.reliability
    some = (bins.counts > 0).numpy()
    sure, right, counts = bins.confidence.numpy()[some], bins.accuracy.numpy()[some], bins.counts.numpy()
    plain = colour(outcome.split)
    accuracy, confidence = (float(bins.counts @ mean / len(outcome)) for mean in (bins.accuracy, bins.confidence))
    how = f"{share(accuracy)} right at a mean confidence of {share(confidence, certain=False)}: it is "
    sure_enough = abs(confidence - accuracy) < EVEN
    how += "about as sure as it is right" if sure_enough else "too sure" if confidence > accuracy else "too doubtful"
    what = f"calibration error (ECE) {bins.error:.2%}"
    figure = page(
        SIDE + BELOW + 0.55, f"{what}, {head(outcome, subject)}", f"{how}; where bars end below the line it is too sure"
    )
    upper = panel(figure, LEFT, BELOW + 0.5, WIDE, SIDE)
    lower = panel(figure, LEFT, 0.42, WIDE, BELOW, sharex=upper)
    upper.stairs(bins.accuracy, edges(), fill=True, color=plain, alpha=0.3)
    gap: dict[str, Any] = {"color": WRONG, "linewidth": 2}
    ideal: dict[str, Any] = {"color": MARK, "linewidth": 1, "linestyle": "--"}
    point: dict[str, Any] = {"color": plain, "marker": "o", "markersize": 4, "linestyle": ""}
    upper.plot([0, 1], [0, 1], **ideal)
    upper.vlines(sure, right, sure, **gap)
    upper.plot(sure, right, **point)
    entries = [("as sure as it is right", ideal, ""), ("accuracy of a bin", point, ""), ("gap", gap, "")]
    key(figure, LEFT + 0.12, BELOW + 0.5 + SIDE - 0.2, entries, 1.9)
    labelled(upper, "", "accuracy")
    upper.set_ylim(0, 1.02)
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    upper.tick_params(labelbottom=False)
    lower.stairs(counts, edges(), fill=True, color=plain)
    lower.set_yscale("log")
    lower.yaxis.set_minor_locator(NullLocator())  # which takes longer to draw than all else
    lower.set_ylim(0.7, 8 * counts.max())
    for place, count in enumerate(counts):
        if count:
            said = f"{int(count):,}" if count < 10_000 else f"{count / 1000:,.0f}k"
            lower.text((place + 0.5) / BINS, 1.2 * count, said, ha="center", fontsize=SMALL)
    labelled(lower, "confidence: the probability of the predicted class", "samples")
    lower.set_xlim(0, 1)
    lower.xaxis.set_major_locator(FixedLocator([0, 0.2, 0.4, 0.6, 0.8, 1]))
    lower.xaxis.set_major_formatter(PercentFormatter(1))
    return figure
