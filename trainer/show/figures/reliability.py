"""The reliability diagram: accuracy by confidence, with the expected calibration error."""

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from trainer.engine.outcome import Outcome
from trainer.engine.reliability import BINS, edges
from trainer.show.figures.style import LETTERS, PLAIN, SMALL, WRONG, titled

# Where the axes lie: all that is beside them has the same size in every picture, and measuring it takes time.
PLACE = {"left": 0.125, "right": 0.96, "bottom": 0.09, "top": 0.92, "hspace": 0.07}


def draw(outcome: Outcome) -> Figure | None:
    """Accuracy by confidence, and below it how many samples have that confidence; None in regression."""
    if outcome.classes is None:
        return None
    bins = outcome.reliability
    some = (bins.counts > 0).numpy()
    sure, right, counts = bins.confidence.numpy()[some], bins.accuracy.numpy()[some], bins.counts.numpy()
    figure = Figure(figsize=(5.6, 5.8))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1], gridspec_kw=PLACE)
    upper.stairs(bins.accuracy, edges(), fill=True, color=PLAIN, alpha=0.3)
    upper.plot([0, 1], [0, 1], color="0.4", linewidth=1, linestyle="--", label="perfect calibration")
    upper.vlines(sure, right, sure, color=WRONG, linewidth=2, label="gap")
    upper.plot(sure, right, "o", color=PLAIN, markersize=4, label="accuracy of a bin")
    upper.set_ylabel("accuracy")
    upper.set_ylim(0, 1.02)
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    upper.legend(fontsize=LETTERS, loc="upper left")
    lower.stairs(counts, edges(), fill=True, color=PLAIN)
    lower.set_yscale("log")
    lower.yaxis.set_minor_locator(NullLocator())  # which takes longer to draw than all else
    lower.set_ylim(0.7, 8 * counts.max())
    for place, count in enumerate(counts):
        if count:
            said = f"{int(count):,}" if count < 10_000 else f"{count / 1000:,.0f}k"
            lower.text((place + 0.5) / BINS, 1.2 * count, said, ha="center", fontsize=SMALL).set_in_layout(False)
    lower.set_xlabel("confidence: the probability of the predicted class")
    lower.set_ylabel("samples")
    lower.set_xlim(0, 1)
    lower.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    accuracy, confidence = (float(bins.counts @ mean / len(outcome)) for mean in (bins.accuracy, bins.confidence))
    titled(upper, f"Calibration: ECE {bins.error:.2%}, accuracy {accuracy:.2%}, confidence {confidence:.2%}", outcome)
    return figure
