"""From a checked config to objects: the one place that instantiates what a config names."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint, data, models
from trainer.checkpoint import Checkpoint
from trainer.config import registry
from trainer.config.base import Config, Custom
from trainer.config.data import Data
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.cache import Mapped
from trainer.data.custom import adapt
from trainer.data.folder import Files
from trainer.data.splits import Dataset, Split, Track, prepare, untracked
from trainer.engine import losses
from trainer.engine import objective as objectives
from trainer.engine import optimizer as optimizers
from trainer.engine.device import Compute
from trainer.engine.loop import evaluating
from trainer.engine.losses import Loss
from trainer.engine.objective import Objective
from trainer.engine.schedule import Schedule
from trainer.system.errors import CheckpointError, ConfigError, TrainerError, did_you_mean
from trainer.system.machine import cores
from trainer.system.memory import RESIDENT_SHARE, free_memory


def dataset(config: Config, track: Track[Any] = untracked, loaded: Dataset | None = None) -> Dataset:
    """Load the data that `config` chooses, if they are not there yet, and fill in what models take from them.

    Raises:
        DataError, ConfigError: missing or unreadable data; the user's own class fails.
    """
    section = config.section("data")
    if loaded is not None:
        pass
    elif isinstance(section, Custom):
        raw = adapt(_call("data", section), config.choices.get("data", section.target))
        loaded = prepare(raw, section.common)
    else:
        loaded = data.load(section, track)
    config.fill_data(loaded.facts())
    return loaded


def model(config: Config, compute: Compute, found: Checkpoint | None = None) -> nn.Module:
    """The model that `config` chooses, on its device and in its precision; with the weights of `found`.

    Raises:
        ConfigError: it does not fit the data, or the user's own class fails.
        CheckpointError: the weights do not fit the model.
    """
    section = config.section("model")
    if found is not None:
        _check_weights(section, found)
    if isinstance(section, Custom):
        built = _call("model", section)
        if not isinstance(built, nn.Module):
            raise ConfigError(f"model._target_={section.target} gives a {type(built).__name__}, not a torch.nn.Module")
    else:
        built = _ours(section, pretrained=found is None)
    built = built.to(compute.device, compute.dtype)
    if any(isinstance(m, nn.Conv2d) for m in built.modules()):
        # Channels-last convolutions and poolings are several times faster on CPU.
        built = built.to(memory_format=torch.channels_last)
    if found is not None:
        checkpoint.load_into(built, found.model, found.path)
    return built


def _ours(section: Any, pretrained: bool) -> nn.Module:
    keys = {k: v for k, v in vars(section).items() if k != "name"}
    if not pretrained and "weights" in keys:
        keys["weights"] = None  # others come over them
    try:
        return models.build(section.name, **keys)
    except ValueError as error:
        raise ConfigError(
            f"model={section.name} does not fit: {error}", "choose another model, or data.size"
        ) from error


def _check_weights(section: Any, found: Checkpoint) -> None:
    """Compare the weights of a file with the model it describes, before that takes memory: it may ask for any size."""
    if not isinstance(section, Custom):
        try:
            with torch.device("meta"):
                shapes = _ours(section, pretrained=False)
        except RuntimeError as error:  # more elements than there are numbers for
            raise CheckpointError(f"{found.path} describes a model that is too large for any machine") from error
        checkpoint.fitting(shapes, found.model, found.path)


def check_forward(built: nn.Module, config: Config, inputs: Tensor, outputs: int) -> None:
    """Send `inputs` (1, ...) through: the mismatch of a model and its data shows before training.

    Raises:
        ConfigError: the model fails on it, or has outputs of another shape.
    """
    name = config.title("model")
    try:
        with evaluating(built), torch.inference_mode():
            found = built(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model={name} fails on data={config.title('data')} of shape {tuple(inputs.shape[1:])}: {reason}",
            "choose a model and data that fit",
        ) from error
    if not isinstance(found, Tensor) or found.shape != (1, outputs):
        shape = tuple(found.shape[1:]) if isinstance(found, Tensor) else type(found).__name__
        raise ConfigError(
            f"model={name} has outputs of shape {shape}; the data need ({outputs},)",
            "set its number of outputs to ${data.outputs}",
        )


def optimizer(config: Config, built: nn.Module, captured: bool = False) -> torch.optim.Optimizer:
    """torch's optimizer over the parameters that are trained, fused where torch has it so.

    `captured` says that its steps will be in a CUDA graph, where torch wants to know.
    """
    section = config.section("optim")
    trained = [p for p in built.parameters() if p.requires_grad]
    if not trained:
        raise ConfigError("the model has no parameters to train")
    if isinstance(section, Custom):
        made = _call("optim", section, trained)
        if not isinstance(made, torch.optim.Optimizer):
            raise ConfigError(f"optim._target_={section.target} gives no torch.optim.Optimizer")
        return made
    _leave_the_compiler_out()
    return optimizers.make(section, trained, captured)


def _leave_the_compiler_out() -> None:
    """Let optimizers be made and saved without importing torch's compiler, which takes over a second.

    torch marks some of their methods as not to be compiled when they are first called, and asks the compiler for
    the mark. With the plain method in the mark's place nobody asks; a torch that has another way is as slow as ever.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)


def loss(name: str, loaded: Dataset, label_smoothing: float = 0.0) -> Loss:
    """The loss called `name`; `auto` is the one that fits the targets.

    Raises:
        ConfigError: a loss for classes with values, or the reverse.
    """
    fitting = ("cross_entropy",) if loaded.classes is not None else ("mse", "half_sse")
    if name == "auto":
        name = fitting[0]
    if name not in fitting:
        kind = "classes" if loaded.classes is not None else "values"
        raise ConfigError(
            f"loss={name} does not fit data={loaded.name}, whose targets are {kind}", f"use loss={fitting[0]}"
        )
    if label_smoothing and name != "cross_entropy":
        raise ConfigError(f"label_smoothing goes with cross-entropy, not with loss={name}", "leave it out")
    return losses.make(name, label_smoothing)


def objective(config: Config, loaded: Dataset, evaluated: str | None) -> Objective:
    """The metric that says which model is best. `evaluated` is the split evaluated during training.

    Raises:
        ConfigError: it is not among the metrics of the run.
    """
    settings = config.settings
    if loaded.classes is None:
        kinds = ["loss", "mse", "mae", "r2"]
    else:
        kinds = ["loss", "accuracy", "top5"] if len(loaded.classes) > 5 else ["loss", "accuracy"]
    split = evaluated or "test"
    name = settings.objective
    if name == "auto":
        name = f"{split}/{'accuracy' if loaded.classes is not None else 'loss'}"
    known = [f"{s}/{kind}" for s in {split, "test"} for kind in kinds] + ["train/loss"]
    if name not in known:
        hint = did_you_mean(name, known)
        if name.startswith("val/") and evaluated != "val":
            hint = "there is no validation set: set data.val_fraction, or objective=train/loss"
        raise ConfigError(f"objective={name}: this run has no such metric", hint)
    direction = settings.direction
    if direction == "auto":
        direction = objectives.direction(name)
    return Objective(name, direction)


def schedule(config: Config, made: torch.optim.Optimizer, total_steps: int, watched: Objective) -> Schedule:
    """The learning-rate schedule.

    Raises:
        ConfigError: a warm-up as long as the training, or two warm-ups.
    """
    section = config.section("scheduler")
    if isinstance(section, Custom):
        raise ConfigError(
            "scheduler: a schedule of your own is not supported",
            f"choose from: {', '.join(registry.names('scheduler'))}",
        )
    section.check(total_steps)
    return Schedule(section, made, total_steps, watched.name, watched.direction)


def training_batches(config: Config, loaded: Dataset, compute: Compute, workers: int | None) -> Batches:
    """The training split on the device (or streamed by `workers`), in random order and augmented as `config` says.

    Raises:
        ConfigError: augmentation of something that is no image.
    """
    common = _common(config)
    augmenter = None
    if any(vars(common.augment).values()):
        if not loaded.is_image:
            raise ConfigError(f"data.augment is for images, and data={loaded.name} is a table", "leave it out")
        height, width = loaded.train.shape[1:]
        if common.augment.shift >= min(height, width):
            raise ConfigError(
                f"data.augment.shift={common.augment.shift}: the images are {width}x{height}", "shift less"
            )
        augmenter = Augmenter(common.augment, height, width)
    return Batches(
        loaded.train,
        common.batch_size,
        compute.device,
        compute.dtype,
        loaded.mean,
        loaded.std,
        augmenter,
        config.settings.seed,
        workers,
    )


def stream_workers(config: Config, loaded: Dataset, compute: Compute) -> int | None:
    """How many processes read batches, where samples do not lie on the device; None where they do.

    Raises:
        ConfigError: they shall lie on it, and do not fit.
    """
    common = _common(config)
    splits = [split for split in (loaded.train, loaded.val, loaded.test) if split is not None]
    decoding = any(isinstance(split.samples, Files) for split in splits)
    if not decoding and common.placement != "stream":
        mapped = compute.device.type == "cpu" and all(isinstance(split.samples, Mapped) for split in splits)
        needed, free = sum(split.nbytes for split in splits), free_memory(compute.device)
        if mapped or needed <= RESIDENT_SHARE * free:
            return None
        if common.placement == "device":
            if needed > free:
                raise ConfigError(
                    f"data.placement=device: the samples take {needed / 2**30:.1f} GiB, and {compute.device} has "
                    f"{free / 2**30:.1f} GiB free",
                    "use data.placement=stream",
                )
            return None
    if common.workers is not None:
        return common.workers
    if compute.device.type == "cpu":  # which computes on the same cores
        return max(1, cores() // 2) if decoding else 0
    return max(1, min(8, cores() - 1)) if decoding else 2


def eval_batch_size(config: Config, loaded: Dataset) -> int:
    """`data.eval_batch_size`, of our own data sets and the user's; by itself 1,000, or fewer of large samples."""
    values = loaded.train.shape.numel()
    return int(_common(config).eval_batch_size or max(1, min(1000, 2**24 // values)))


def _common(config: Config) -> Data:
    """The keys that all data sets have, of ours and the user's."""
    section = config.section("data")
    common = section.common if isinstance(section, Custom) else section
    assert isinstance(common, Data)
    return common


# --- checkpoints --------------------------------------------------------------------------------------


def describe(config: Config, loaded: Dataset, used: Loss) -> dict[str, Any]:
    """What a checkpoint says of its model and data: registry names and scalars, nothing to be run."""
    return {
        "model": checkpoint.scalars(config.describe("model")),
        "data": checkpoint.scalars(config.describe("data")),
        "choices": {group: config.title(group) for group in registry.OF_A_TRAINING},
        "loss": used.name,
        "classes": None if loaded.classes is None else list(loaded.classes),
        "mean": None if loaded.mean is None else list(loaded.mean),
        "std": None if loaded.std is None else list(loaded.std),
        "columns": list(loaded.columns),
        "samples": _samples(loaded),
        "fingerprint": fingerprint(loaded.train),
    }


def fingerprint(split: Split) -> str:
    """A digest of all targets and a few inputs: enough to tell other data from the same, without reading all."""
    few = split[torch.linspace(0, len(split) - 1, min(16, len(split))).long()]
    digest = hashlib.blake2b(digest_size=16)
    for part in (split.targets, few):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def adopt(config: Config, found: Checkpoint) -> None:
    """Complete `config` from a checkpoint's description, where the command line did not choose.

    A class of the user's is never taken from the file: they name it on the command line.

    Raises:
        CheckpointError: the description is not enough, or names what only the user can.
    """
    for group in ("model", "data"):
        described = found.description.get(group)
        if not isinstance(described, dict):
            if not config.given(group):
                raise CheckpointError(
                    f"{found.path} is a bare state_dict: it does not say its {group}",
                    f"give it: {group}=... ({', '.join(registry.names(group))})",
                )
            continue
        if "class" in described and not config.given(group):
            choice = found.description.get("choices", {}).get(group, "NAME")
            raise CheckpointError(
                f"{found.path} was trained with a {group} of somebody's own, {described['class']}, "
                "and a file names no code to run",
                f"if you trust it, name it yourself: {group}={choice} (configs/{group}/{choice}.yaml)",
            )
        config.adopt(group, described)


def trained_on(loaded: Dataset, found: Checkpoint) -> Dataset:
    """`loaded` with the normalisation of the training; its classes and columns must be the same.

    Raises:
        CheckpointError: they are not.
    """
    if found.bare:
        return loaded
    said = found.description
    for what, here in (("classes", loaded.classes), ("columns", loaded.columns)):
        there = said.get(what)
        if there and here is not None and list(here) != list(there):
            raise CheckpointError(
                f"{found.path} was trained on {what} {_few(there)}; data={loaded.name} has {_few(here)}",
                "evaluate it on data of its own kind",
            )
    mean, std = said.get("mean"), said.get("std")
    if mean is None or std is None or loaded.mean is None or len(mean) != len(loaded.mean):
        return loaded
    return replace(loaded, mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def changed(loaded: Dataset, found: Checkpoint) -> str:
    """A note where the data of a checkpoint are not as large as in training: random splits then fall otherwise."""
    before, now = found.description.get("samples"), _samples(loaded)
    if before is None or before == now:
        return ""
    return f"trained on {before:,} samples in all, now there are {now:,}: the splits may not be those of the training"


def _samples(loaded: Dataset) -> int:
    return sum(len(split) for split in (loaded.train, loaded.val, loaded.test) if split is not None)


def _few(names: Any) -> str:
    names = [str(n) for n in names]
    return f"{', '.join(names[:4])}{f', ... ({len(names)})' if len(names) > 4 else ''}"


# --- the user's own code ------------------------------------------------------------------------------


def _call(group: str, section: Custom, *args: Any) -> Any:
    """Import what `_target_` names, also from the current directory, and call it.

    Raises:
        ConfigError: it cannot be imported, or the call fails.
    """
    function = _imported(group, section.target)
    try:
        return function(*args, **section.kwargs)
    except TrainerError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ConfigError(
            f"{group}._target_={section.target} does not build: {type(error).__name__}: {reason}",
            "HYDRA_FULL_ERROR=1 shows where",
        ) from error


def _imported(group: str, target: str) -> Callable[..., Any]:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    name, _, attribute = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(name), attribute)
    except Exception as error:  # importing runs the user's code: anything can happen
        reason = (str(error).strip().splitlines() or [""])[0]
        missing = isinstance(error, ModuleNotFoundError) and not (Path(here) / f"{name.split('.')[0]}.py").exists()
        hint = (
            f"run trainer where {name.split('.')[0]}.py is, or install it"
            if missing
            else "HYDRA_FULL_ERROR=1 shows where"
        )
        raise ConfigError(
            f"{group}._target_={target} cannot be imported: {type(error).__name__}: {reason}", hint
        ) from error
    if not callable(found):
        raise ConfigError(f"{group}._target_={target} is not a class or function")
    return found  # type: ignore[no-any-return]
