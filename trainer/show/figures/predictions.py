"""Images with what they are and what they were taken for: mistakes first, then what was hardly told right."""

import os

import torch
from matplotlib.figure import Figure

from trainer.engine.outcome import Outcome
from trainer.show.figures import grid
from trainer.show.figures.grid import COLUMNS, ROWS, Cell, Line
from trainer.show.figures.style import MUTED, WRONG, head
from trainer.show.lettering import class_names, lacks, said_of
from trainer.show.pictures import pixels
from trainer.system.shown import counted, share

MOST = COLUMNS * ROWS


def draw(outcome: Outcome, subject: str) -> Figure | None:
    """Up to `MOST` images: the most confident mistakes first, then the least confident right answers.

    None where there are no images of classes.
    """
    if outcome.classes is None or not outcome.data.is_image:
        return None
    chosen = _chosen(outcome)
    images = pixels(outcome.samples.take(chosen), len(chosen))
    names = class_names(outcome.classes)
    cells = [Cell(image, _lines(outcome, names, number)) for image, number in zip(images, chosen.tolist(), strict=True)]
    return grid.draw(cells, head(outcome, subject), _how(outcome, len(chosen)) + said_of(names, outcome.classes))


def _chosen(outcome: Outcome) -> torch.Tensor:
    wrong = outcome.wrong[:MOST]
    right = (outcome.predicted == outcome.targets).nonzero()[:, 0]
    least = right[outcome.confidence[right].argsort(stable=True)]
    return torch.cat([wrong, least[: MOST - len(wrong)]])


def _how(outcome: Outcome, shown: int) -> str:
    total = len(outcome.wrong)
    wrong = min(total, shown)
    first = f"the {wrong} most confident of {counted(total, 'mistake')}" if total > wrong else counted(total, "mistake")
    rest = f"the {shown - wrong} least confident right answers"
    said = first if shown == wrong else f"{first}, then {rest}" if wrong else f"no mistake; {rest}"
    return f"{said}: true class, → predicted, confidence, file"


def _lines(outcome: Outcome, names: list[str], number: int) -> list[Line]:
    true, predicted = int(outcome.targets[number]), int(outcome.predicted[number])
    sure = share(float(outcome.confidence[number]), certain=False)
    told = Line(names[predicted], sure, WRONG, "→") if true != predicted else Line("", sure, sign="✓")
    name = outcome.name(number)
    file = os.path.basename(name) if isinstance(name, str) else ""
    called = file if file and not lacks(file) else f"no. {number if file else name}"
    return [Line(names[true]), told, Line(called, colour=MUTED)]
