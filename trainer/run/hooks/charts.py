"""How TensorBoard shows a training: what its curves are called, and the layout of its Custom Scalars tab.

TensorBoard orders groups of curves by their names, and opens with the first two unfolded: a capital letter comes first,
so that these are the objective and the loss. The HParams tab lists figures in the same order.
"""

import re
from collections.abc import Collection

from trainer.engine.measures import measure

OBJECTIVE, LOSS, METRICS, TRAINING = "Objective", "loss", "metrics", "training"
STEP_LOSS = f"{LOSS}/within_epochs"  # after the splits, in the order of names
PICTURES = "pictures"
_ORDER = ("train", "val", "test")


def tag(name: str) -> str:
    """What the curve of a row's entry is called: `val/loss` is `loss/val`, so that splits stand beside each other."""
    split, _, kind = name.rpartition("/")
    if not split:
        return f"{TRAINING}/{name}"
    return f"{LOSS}/{split}" if kind == "loss" else f"{METRICS}/{kind}/{split}"


def best(objective: str) -> str:
    """The curve of the best value of the objective so far, by which runs are ranked."""
    return f"{OBJECTIVE}/best {objective}"


def raw(objective: str) -> str:
    """The curve of the objective itself."""
    return f"{OBJECTIVE}/{objective}"


def layout(names: Collection[str], objective: str) -> dict[str, dict[str, tuple[str, list[str]]]]:
    """Categories, their charts and the curves of each, for a training whose rows have entries of these `names`.

    A chart has the curves of all splits. The loss and the objective come first, then the other metrics, and the
    learning rate and the speed last.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(names, key=_place):
        if "/" in name:
            found.setdefault(name.rpartition("/")[2], []).append(tag(name))
    first = {"loss": found.pop("loss")} if "loss" in found else {}
    first[f"objective: {objective}"] = [raw(objective), best(objective)]
    beside = [name for name in ("lr", "samples_per_second", "seconds") if name in names]
    categories = {
        "loss and objective": first,
        "metrics": {measure(kind).label: tags for kind, tags in sorted(found.items())},
        "learning rate and speed": {name: [tag(name)] for name in beside},
    }
    return {
        title: {chart: ("Multiline", [f"{re.escape(tag)}$" for tag in tags]) for chart, tags in charts.items()}
        for title, charts in categories.items()
        if charts
    }


def _place(name: str) -> tuple[int, str]:
    split = name.rpartition("/")[0]
    return (_ORDER.index(split) if split in _ORDER else len(_ORDER)), name
