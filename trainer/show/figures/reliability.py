"""The reliability diagram: accuracy by confidence, with the expected calibration error."""

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from trainer.engine.outcome import Outcome
from trainer.engine.reliability import BINS, edges, reliability
from trainer.show.figures.style import LETTERS, PLAIN, SMALL, WRONG, titled


def draw(outcome: Outcome, threshold: float | None) -> Figure | None:
    """Accuracy by confidence, and below it how many samples have that confidence; None in regression."""
    if outcome.classes is None:
        return None
    bins = reliability(outcome.confidence, outcome.predicted == outcome.targets)
    some = (bins.counts > 0).numpy()
    sure, right, counts = bins.confidence.numpy()[some], bins.accuracy.numpy()[some], bins.counts.numpy()
    figure = Figure(figsize=(5.4, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
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
    accuracy, confidence = outcome.evaluation.metrics["accuracy"], float(outcome.confidence.mean())
    titled(upper, f"Calibration: ECE {bins.error:.2%}, accuracy {accuracy:.2%}, confidence {confidence:.2%}", outcome)
    return figure
