"""`trainer inspect`: layers, shapes, parameters and FLOPs of a model, facts about the data, pictures of both."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import key
from trainer.system.errors import ConfigError, listed
from trainer.system.paths import expanded

if TYPE_CHECKING:
    from torch import nn

    from trainer.data.splits import Dataset, Split
    from trainer.show.report import Report

SUMMARY = "layers, shapes, parameters, FLOPs, filters, and facts about the data"
EXAMPLES = """
trainer inspect model=resnet18 data=cifar10
trainer inspect data=csv data.path=table.csv data.target=price     the columns
trainer inspect RUN inspect.out=filters.png
"""


@dataclass
class InspectOptions:
    """Where the pictures of `trainer inspect` go."""

    out: str | None = key(None, "a picture: the filters of a checkpoint, else a grid of training images", text=True)


@dataclass
class Inspect(Config):
    """`trainer inspect`: layers, shapes, parameters, FLOPs, and facts about the data."""

    ckpt: str | None = key(None, "a run directory or a checkpoint file", text=True, positional=True)
    model: Any = key(None, "the model: a section of the group `model`")
    data: Any = key(None, "the data: a section of the group `data`")
    inspect: InspectOptions = field(default_factory=InspectOptions, metadata={"doc": "pictures"})


def run(config: Inspect) -> dict[str, Any]:
    """Show a model and its data; with `inspect.out=FILE` also draw the filters or a grid of images.

    Returns:
        The numbers of parameters and of FLOPs per sample, where a model is shown.

    Raises:
        UserError: The checkpoint or the data do not exist, or the picture cannot be written.
    """
    from trainer.show.beginning import beginning

    asked = config.ckpt or " on ".join(config.called(group) for group in ("model", "data") if config.given(group))
    with beginning("inspect", asked) as screen:
        import torch

        from trainer.config import custom
        from trainer.data.loading import load_dataset
        from trainer.engine import device
        from trainer.models import preprocessing
        from trainer.models.build import build_model
        from trainer.run.evaluating import Evaluated

    if config.ckpt is None:
        preprocessing.prepare(config)
    known = config.facts()
    built: nn.Module | None = None
    loaded: Dataset | None = None
    if config.ckpt is None:
        for line in custom.announced(config):  # `load` says it, too
            screen.say(line)
        if not ("channels" in known or any(word.startswith("model") for word in config.typed)):
            config.change("model", None)  # which is one for images, if nobody chose it
    if config.ckpt is not None:
        evaluated = Evaluated(config, config.ckpt, "test", device.choose("cpu", "float32"), screen, nonfinite=True)
        built, loaded = evaluated.evaluator.model, evaluated.data
        screen.say(f"checkpoint {evaluated.found.path}", style="bold")
    elif "channels" in known and "num_classes" in known:  # layers can be shown without the files
        config.fill_data(known)
    else:
        loaded = load_dataset(config, screen.track)
    known = config.facts()
    shape = (known["channels"], known["size"], known["size"]) if "channels" in known else (known["features"],)
    if built is None and config.given("model"):
        built = build_model(config, torch.zeros(1, *shape), known["outputs"])
    counted = {}
    if built is not None:
        counted = _layers(config, built, shape, screen)
        screen.say()
    loaded = loaded or load_dataset(config, screen.track)
    _data(loaded, screen)
    if config.inspect.out is not None:
        _picture(config, built, loaded, expanded(config.inspect.out), screen)
    return counted


def _layers(config: Inspect, built: "nn.Module", shape: tuple[int, ...], screen: "Report") -> dict[str, int]:
    """Show the layers; the numbers of parameters and of FLOPs per sample."""
    import torch

    from trainer.show import layers

    found, total, flops = layers.table(built, torch.zeros(1, *shape))
    rows = [(la.name, la.kind, _x(la.shape), f"{la.parameters:,}", f"{la.flops:,}") for la in found]
    own = total - sum(p.numel() for p in {p for m in built.modules() if not any(m.children()) for p in m.parameters()})
    other = flops - sum(la.flops for la in found)
    if own or other:
        rows.append(("(other)", "", "", f"{own:,}", f"{other:,}"))
    rows.append(("total", "", "", f"{total:,}", f"{flops:,}"))
    title = f"model {config.called('model')}, input {_x(shape)}, FLOPs per sample"
    screen.table(("layer", "type", "output", "parameters", "FLOPs"), rows, title)
    return {"parameters": total, "flops": flops}


def _data(loaded: "Dataset", screen: "Report") -> None:
    import torch

    from trainer.show import classes, columns

    splits = {name: getattr(loaded, name) for name in ("train", "val", "test") if getattr(loaded, name) is not None}
    facts = [(name, f"{len(split):,} samples of {_x(split.shape)} {_type(split)}") for name, split in splits.items()]
    if loaded.mean is not None and loaded.std is not None:
        facts.append(("mean", listed([f"{m:.4g}" for m in loaded.mean])))
        facts.append(("std", listed([f"{s:.4g}" for s in loaded.std])))
    else:
        facts.append(("normalisation", "none" if loaded.plan is None else "by column, as below"))
    if loaded.columns and loaded.plan is None:
        facts.append(("columns", listed(loaded.columns)))
    facts += [("note", line) for line in loaded.notes]
    screen.facts(f"data {loaded.name}", facts)
    if loaded.plan is not None:
        columns.show(screen, loaded.plan)
    if loaded.classes is not None:
        size = len(loaded.classes)
        counts = [torch.bincount(split.targets, minlength=size).tolist() for split in splits.values()]
        rows = [(name, *map(str, row)) for name, *row in zip(loaded.classes, *counts, strict=True)]
        classes.show(screen, ("class", *splits), rows, lambda number: number, "the first of them")
    else:
        values = loaded.train.targets
        mean, low, high = float(values.mean()), float(values.min()), float(values.max())
        screen.facts("target", [("train", f"mean {mean:.4g}, from {low:.4g} to {high:.4g}")])


def _picture(config: Inspect, built: "nn.Module | None", loaded: "Dataset", out: Path, screen: "Report") -> None:
    from trainer.show.lettering import lettering

    if not loaded.is_image:
        raise ConfigError(f"inspect.out={out}: filters and grids are of images, and data={loaded.name} is a table")
    with lettering():
        what = _drawn(config, built, loaded, out)
    screen.say(f"{what}: {out}")


def _drawn(config: Inspect, built: "nn.Module | None", loaded: "Dataset", out: Path) -> str:
    """Draw the picture `out`; what it shows."""
    from trainer.run import subject
    from trainer.show import pictures
    from trainer.show.figures import filters
    from trainer.show.figures.style import save

    kernels = filters.kernels(built) if config.ckpt is not None and built is not None else None
    figure = filters.draw(kernels, subject.subject(config)) if kernels is not None else None
    what = f"first-layer filters, {', '.join(filters.SCALINGS)}"
    if figure is None:
        figure, what = pictures.training_grid(loaded, subject.data(config)), "training images"
    save(figure, out, "inspect.out")
    return what


def _x(shape: Any) -> str:
    return "x".join(map(str, shape))


def _type(split: "Split") -> str:
    return str(split.dtype).removeprefix("torch.")
