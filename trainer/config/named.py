"""Parts of the user's own that a key names: metrics, hooks and augmentations, each in a file of ./configs/KIND.

`metrics=[f1,mine]` has the section `metric.mine`, which begins as configs/metric/mine.yaml says; keys such as
`metric.mine.beta=2` change it.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config import registry
from trainer.config.composition import explained
from trainer.config.keys import key
from trainer.config.written import plain
from trainer.system.errors import ConfigError, did_you_mean
from trainer.system.shown import printable, shortened

# The names that are trainer's own, which no part of the user's can have.
OURS = {
    "metric": (
        *("loss", "accuracy", "top5", "balanced_accuracy", "f1", "auc", "average_precision", "calibration_error"),
        *("mse", "mae", "r2"),
    ),
    "hook": (),
    "augment": ("none", "light", "standard", "strong"),
}
_NAME = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)


@dataclass
class Metric:
    """What a metric of the user's own is like."""

    direction: str = key("max", "which way it is better", choices=("max", "min"))
    percent: bool = key(False, "it is a share, which is shown in percent")
    log: bool = key(False, "it goes to zero as a model gets better, and is drawn on a logarithmic axis")
    label: str | None = key(None, "what axes and tables call it; null: its name", text=True)


@dataclass
class Augmenting:
    """How an augmentation of the user's own is called."""

    per: str = key(
        "auto",
        "batch: with a whole batch (N, C, H, W); image: with each image (1, C, H, W); auto: image for torchvision's "
        "transforms, which draw once a call, otherwise batch",
        choices=("auto", "batch", "image"),
    )


BESIDE = {"metric": Metric, "augment": Augmenting}


def is_name(word: object) -> bool:
    """Whether a part of the user's own can be called so: a name of a file, a key, a column and a curve."""
    return isinstance(word, str) and _NAME.fullmatch(word) is not None


def names(kind: str) -> list[str]:
    """The user's own parts of a kind."""
    return sorted(path.stem for path in (Path("configs") / kind).glob("*.yaml") if is_name(path.stem))


def entered(kind: str, cfg: DictConfig) -> Iterator[str]:
    """The parts of the user's own of a kind that a composed config names; their sections are entered in it.

    Raises:
        ConfigError: There is no such part.
    """
    for name in dict.fromkeys(_asked(kind, cfg)):
        if name in OURS[kind]:
            continue
        path = f"{kind}.{name}"
        if not is_name(name):
            word = shortened(printable(str(name)), 100, "...")
            raise ConfigError(f"{registry.NAMED[kind]}={word}: not a name", "a name has letters, digits and _")
        given = OmegaConf.select(cfg, path)
        if given is not None and not isinstance(given, DictConfig):
            raise ConfigError(f"{path}={given}: a section, not a value", f"set its keys: {path}.KEY=VALUE")
        if given is None or "_target_" not in given:
            with explained():
                OmegaConf.update(cfg, path, OmegaConf.merge(_of_file(kind, name), given or {}), force_add=True)
        yield name


def check_typed(kind: str, typed: Collection[str], entered: Collection[str]) -> None:
    """Check that what was typed for parts of a kind is of those that are entered.

    Raises:
        ConfigError: It is of one that no key names.
    """
    for word in typed:
        path, _, value = word.lstrip("+").partition("=")
        root, _, rest = path.partition(".")
        if root != kind:
            continue
        if not rest:
            raise misplaced(kind, value)
        if (name := rest.partition(".")[0]) not in entered:
            raise ConfigError(f"{word}: nothing names {kind}.{name}", f"type {_short(kind)}={name}, too")


def misplaced(kind: str, value: str) -> ConfigError:
    """The error for `metric=f1`: the key that names parts is another one."""
    return ConfigError(f"{kind}={value}: no such key", f"did you mean {_short(kind)}={value}?")


def _short(kind: str) -> str:
    return registry.NAMED[kind].removesuffix(".preset")


def _asked(kind: str, cfg: DictConfig) -> list[Any]:
    """What the key of a kind names."""
    with explained():  # a `${...}` may lead nowhere
        found = OmegaConf.select(cfg, registry.NAMED[kind], throw_on_missing=False)
        return list(found) if OmegaConf.is_list(found) else [] if found is None else [found]


def _file(kind: str, name: str) -> Path:
    return Path("configs") / kind / f"{name}.yaml"


def _of_file(kind: str, name: str) -> DictConfig:
    """The section in ./configs/KIND/NAME.yaml.

    Raises:
        ConfigError: There is no such file, or it names no class or function.
    """
    file = _file(kind, name)
    if not file.is_file():
        known = [*OURS[kind], *names(kind)]
        own = f"one of your own stands in {file}: trainer new {kind} {name}"
        raise ConfigError(f"{registry.NAMED[kind]}={name}: no such {kind}", did_you_mean(name, known, own))
    with explained():
        found = OmegaConf.load(file)
    if not isinstance(found, DictConfig) or "_target_" not in found:
        raise ConfigError(f"{file} has no _target_", "it names your class or function: _target_: module.Name")
    return found


def described(kind: str, name: str) -> dict[str, Any] | None:
    """What ./configs/KIND/NAME.yaml says as plain values; None where there is no such file of a part."""
    if not is_name(name) or name in OURS.get(kind, ()) or not _file(kind, name).is_file():
        return None
    try:
        return plain(_of_file(kind, name))
    except ConfigError:
        return None
