"""A sweep's pictures, without pyplot: the objective against each key and pair of keys, and all of a search."""

import itertools
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from trainer.compare.ranking import ranked
from trainer.run.sweep_log import Outcome
from trainer.show.lettering import lettering, roomy
from trainer.sweeps.results import overview
from trainer.sweeps.results.against import against
from trainer.sweeps.results.axes import STYLE
from trainer.sweeps.results.grid import Grid
from trainer.sweeps.results.heat_map import heat_map
from trainer.system.atomic import storing
from trainer.system.inside import unlinked
from trainer.system.shown import shortened

PAIRS = 3  # the most heat maps
FILLED = 0.51  # the share of its cells that has to be there
MANY = 3  # so many keys are also drawn side by side,
SETTINGS = 6  # if there are as many settings
LONGEST_FILE = 150  # letters of a picture's name


def save(jobs: Sequence[Outcome], directory: Path, importance: Mapping[str, float] | None = None) -> list[Path]:
    """Draw what there is to see of the jobs, each picture as a PNG in `directory`; return the files.

    A search knows the `importance` of its keys, or that it cannot be told: it is empty then.

    Raises:
        StorageError: a file cannot be written.
    """
    paths: list[Path] = []
    with lettering(), matplotlib.rc_context(STYLE):
        for name, figure in figures(jobs, importance):
            path = directory / _file_name(name, {path.name for path in paths})
            with storing(path):
                directory.mkdir(parents=True, exist_ok=True)
                with open(path, "wb", opener=unlinked) as file:
                    roomy(figure, partial(figure.savefig, file, dpi=130, format="png"))
            paths.append(path)
    return paths


def _file_name(name: str, taken: Container[str]) -> str:
    """The file of a picture, which may not be one that is `taken`."""
    plain = shortened(re.sub(r"[^A-Za-z0-9._-]", "_", name), LONGEST_FILE, "...")
    names = (f"{plain}.png" if number == 1 else f"{plain}-{number}.png" for number in itertools.count(1))
    return next(found for found in names if found not in taken)


def figures(jobs: Sequence[Outcome], importance: Mapping[str, float] | None = None) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of what there is to see, for each objective by itself: of a search first the whole of it."""
    rows = ranked(jobs)
    objectives = list(dict.fromkeys(row.objective for row in rows if row.values))
    for objective in objectives:
        # Rows without a value have no objective: if there are several, nobody knows which one is theirs.
        found = Grid([r for r in rows if r.objective == objective or (not r.values and len(objectives) == 1)])
        prefix = f"{objective}-" if len(objectives) > 1 else ""
        keys = [key for key in found.keys if len(found.values(key)) > 1]
        shares = {key: importance[key] for key in keys if key in importance} if importance else {}
        if importance is not None and len(found.rows) > 1:
            yield f"{prefix}history", overview.history(found)
        if len(shares) > 1:
            yield f"{prefix}importance", overview.importance(found, shares)
        reached = sum(row.mean is not None for row in found.rows)
        if reached >= SETTINGS and len(keys) >= (MANY if importance is None else 2):
            by_worth = sorted(keys, key=lambda key: -shares.get(key, 0.0))
            yield f"{prefix}parallel", overview.parallel(found, by_worth)
        for key in keys:
            yield f"{prefix}{key}", against(found, key, [k for k in keys if k != key])
        share = FILLED if importance is None else 1.0  # of what a search has drawn at random, most cells would be empty
        for pair in [p for p in itertools.combinations(keys, 2) if found.is_grid(p, share)][:PAIRS]:
            yield f"{prefix}{pair[0]}-{pair[1]}", heat_map(found, pair, [k for k in keys if k not in pair])
