"""The model of a training whose data are no images, where nobody has chosen one: the default is for images."""

from collections.abc import Mapping, Sequence

from trainer.config.choices import declaration
from trainer.config.data import Data

MODEL = "model=mlp"  # as in experiment=table
_CHOOSING = ("model", "experiment", "from")  # what says which model, beside a whole config


def model(overrides: Sequence[str], flags: Mapping[str, str]) -> str | None:
    """The override of the model; None where the default does, or something was chosen."""
    words = dict(word.lstrip("+~").partition("=")[::2] for word in overrides)
    if "data" not in words or not words.keys().isdisjoint(_CHOOSING) or "--config" in flags:
        return None
    sections = [declaration("data", choice) for choice in words["data"].split(",")]
    return MODEL if all(_has_no_images(section) for section in sections) else None


def _has_no_images(section: object) -> bool:
    """Whether data that are declared so have no pictures; those of the user's own do not say."""
    return (
        isinstance(section, type)
        and issubclass(section, Data)
        and section is not Data
        and getattr(section, "size", None) is None
    )
