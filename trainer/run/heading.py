"""What is known of a training before its data are read and torch is imported."""

import re
from pathlib import Path

from trainer.config.train import Train
from trainer.system.shown import shortened


def name(config: Train) -> str:
    """`name=`, or MODEL_DATA, which is one folder whatever the choices are called."""
    default = shortened(f"{config.called('model')}_{config.title('data')}", 60, "...")
    return config.name or re.sub(r"[/\\]", "_", default)


def asked(config: Train) -> str:
    """The model, the data and the device that were asked for."""
    return f"{config.called('model')} on {config.title('data')}, device {config.device}"


def of_start(config: Train) -> tuple[str, str]:
    """The first line of `trainer train`, in two parts; a checkpoint to begin with may have another model and data."""
    if config.from_ is not None:
        return "train", f"from {config.from_}, device {config.device}"
    return of_training(config, None)


def of_training(config: Train, resumed: Path | None) -> tuple[str, str]:
    """The same once it is known what is trained; the first line of `trainer resume`, where a directory is `resumed`."""
    return name(config), asked(config) + (f", resumed in {resumed}" if resumed is not None else "")
