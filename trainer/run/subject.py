"""What the pictures of a model say that they are of."""

import os

from trainer.config.base import Config


def subject(config: Config, model: str | None = None) -> str:
    """Data and model in a title: `digits, lenet`.

    `model` is what is said in place of the config's, where there are several.
    """
    return f"{data(config)}, {model or config.called('model')}"


def data(config: Config) -> str:
    """What the data are called; a folder or a table by its own name."""
    path = config.written("data").get("path")
    name = os.path.basename(path.rstrip("/")) if isinstance(path, str) and "${" not in path else ""
    return name or config.called("data")
