"""The gallery of the most confident mistakes: images, what they are, what they were taken for, and their files."""

import math
import os

import torch
from matplotlib.figure import Figure
from torch.nn.functional import interpolate

from trainer.engine.outcome import Outcome
from trainer.show import plots
from trainer.show.figures.style import SMALL, TITLE, WIDTH, of_split
from trainer.show.lettering import lettered
from trainer.show.pictures import pixels
from trainer.system.shown import counted

MOST, COLUMNS = 25, 5
SIDE = 150  # pixels that an image has room for; larger ones are made smaller first
PAIR, ALONE = 24, 22  # letters in the width of an image: of both classes in one line, of a class or a file in its own
LINE = 1.3 * SMALL / 72  # inches
HEAD, EDGE = 0.35, 0.08  # inches for the title, and around the images


def draw(outcome: Outcome) -> Figure | None:
    """Up to `MOST` images with true and predicted class, probability and name; None where no image is told wrong."""
    if outcome.classes is None or not outcome.data.is_image or not len(outcome.wrong):
        return None
    chosen = outcome.wrong[:MOST]
    images = pixels(outcome.samples.take(chosen), len(chosen))
    larger = max(images.shape[2:]) / SIDE
    if larger > 1:
        images = interpolate(images, size=[max(1, round(side / larger)) for side in images.shape[2:]], mode="area")
    texts = _texts(outcome, chosen)
    width = images.shape[3]
    columns = min(COLUMNS, len(chosen))
    lines = max(text.count("\n") for text in texts) + 1
    inch = width / (0.93 * WIDTH / COLUMNS)  # of an image, in its own pixels
    above, beside = math.ceil((lines * LINE + 0.1) * inch), math.ceil(0.07 * width)
    mosaic, places = plots.mosaic([plots.colours(image) for image in images], columns, above, beside)
    across, down = mosaic.shape[1] / inch, mosaic.shape[0] / inch
    wide, tall = max(across, WIDTH * 0.6) + 2 * EDGE, down + HEAD + EDGE
    figure = Figure(figsize=(wide, tall))
    axes = figure.add_axes((EDGE / wide, EDGE / tall, 1 - 2 * EDGE / wide, down / tall), anchor="W")
    axes.set_axis_off()
    axes.imshow(mosaic, interpolation="nearest" if larger <= 1 else "auto")
    for text, (top, left) in zip(texts, places, strict=True):
        axes.text(left, top - 0.04 * inch, text, va="bottom", fontsize=SMALL, linespacing=1.2)
    what = counted(len(outcome.wrong), "mistake")
    if len(outcome.wrong) > MOST:
        what = f"The {MOST} most confident of {what}"
    figure.text(EDGE / wide, 1 - 0.1 / tall, f"{what}: {of_split(outcome)}", va="top", fontsize=TITLE)
    return figure


def _texts(outcome: Outcome, chosen: torch.Tensor) -> list[str]:
    """Lines above each image: `true → predicted`, in two if one of them is too long, and `99.8%  file`."""
    assert outcome.classes is not None
    pairs = []
    for true, predicted in zip(outcome.targets[chosen].tolist(), outcome.predicted[chosen].tolist(), strict=True):
        pairs.append([lettered(outcome.classes[one], ALONE - 2) for one in (true, predicted)])
    gap = " → " if all(len(true) + len(predicted) + 3 <= PAIR for true, predicted in pairs) else " →\n"
    texts = []
    for number, pair in zip(chosen.tolist(), pairs, strict=True):
        name = outcome.name(number)
        file = lettered(os.path.basename(name), ALONE - 7) if isinstance(name, str) else f"no. {name}"
        texts.append(f"{gap.join(pair)}\n{outcome.confidence[number]:.1%}  {file}")
    return texts
