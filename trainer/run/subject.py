"""What the pictures of a model say that they are of."""

import os

from trainer.config.base import Config


def subject(config: Config, model: str | None = None) -> str:
    """Data and model in a title: `digits, lenet`; a folder or a table by its own name.

    `model` is what is said in place of the config's, where there are several.
    """
    path = config.written("data").get("path")
    name = os.path.basename(path.rstrip("/")) if isinstance(path, str) and "${" not in path else ""
    return f"{name or config.called('data')}, {model or config.called('model')}"
