"""What pretrained weights want of the images, compared with what the data give: offered, or taken over.

Only the networks of libraries have such weights. The numbers go into the keys of the data set, so that a checkpoint
describes them as any others.
"""

import importlib
from types import ModuleType
from typing import Any

from trainer.config.base import Config
from trainer.models.pretrained import Seen
from trainer.system.errors import ConfigError

KEYS = ("size", "resize", "mean", "std")  # of the data set, which pretrained weights depend on


def prepare(config: Config) -> None:
    """Check the name of a library's network, and do what `data.preprocess` says: both before the data are read.

    Raises:
        ConfigError: The library has no such network or is not installed; or the model has no pretrained weights whose
            preprocessing could be taken.
    """
    written, library = _library(config)
    if library is not None:
        library.check(written["arch"])
    if getattr(config.samples, "preprocess", None) is None:
        return
    if library is None or written.get("weights") is None:
        what = "model.weights=null has" if library is not None else f"model={config.title('model')} takes"
        raise ConfigError(
            f"data.preprocess=weights: {what} no pretrained weights", "set data.size and the like yourself"
        )
    typed = config.typed_keys
    wanted = _wanted(config, library.seen(written["arch"]), typed)
    config.enter_data(
        {key: value for key, value in wanted.items() if f"data.{key}" not in typed} | {"preprocess": None}
    )


def offer(config: Config) -> str:
    """A line for the user where the data are not prepared as the model's pretrained weights want it, or ""."""
    written, library = _library(config)
    if library is None or written.get("weights") is None or not hasattr(config.samples, "preprocess"):
        return ""
    wanted = _wanted(config, library.seen(written["arch"]), set())
    if all(getattr(config.samples, key) == value for key, value in wanted.items()):
        return ""
    said = " ".join(f"data.{key}={_text(value)}" for key, value in wanted.items())
    return f"{written['arch']}: its weights were trained with {said}; data.preprocess=weights takes these over"


def advice(config: Config) -> str:
    """What to type where the images do not fit a library's network; "" for other models."""
    written, library = _library(config)
    if library is None:
        return ""
    return f"{written['arch']} is made for images of a certain size: data.size={library.seen(written['arch']).size}"


def _wanted(config: Config, seen: Seen, typed: set[str]) -> dict[str, Any]:
    """The values of `KEYS` for these images; for a `size` of the user's, `resize` in the same proportion."""
    size, resize = seen.size, seen.resize
    if "data.size" in typed:
        size, resize = config.samples.size, round(resize * config.samples.size / size)
    moments = [list(seen.mean), list(seen.std)]
    if config.samples.channels == 1:  # of grey images, which the network sees in all three channels
        moments = [[round(sum(values) / len(values), 6)] for values in moments]
    return dict(zip(KEYS, (size, resize, *moments), strict=True))


def _library(config: Config) -> tuple[dict[str, Any], ModuleType | None]:
    """The model as it is written, and the module of its library; None where it is of none, or not known yet."""
    written = config.written("model") if config.given("model") else {}
    arch = written.get("arch")
    if "_target_" in written or not isinstance(arch, str) or "${" in arch:
        return written, None
    return written, importlib.import_module(f"trainer.models.{written['name']}")


def _text(value: Any) -> str:
    return f"[{','.join(f'{v:g}' for v in value)}]" if isinstance(value, list) else str(value)
