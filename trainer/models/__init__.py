"""One model per file. A model outputs logits (classification) or values (regression); its parameter
names are those of the public tutorials, so that bare `state_dict` files load into it.

`trainer.config.model` declares each model's keys, in a dataclass that is called as what builds the model here. The
model's name is that of its file.
"""

import importlib
from typing import Any

from torch import nn

from trainer.config import registry


def make(name: str, **hyperparameters: Any) -> nn.Module:
    """Build the model `name`.

    Raises:
        ValueError: The hyperparameters cannot work together, such as images too small for the layers.
    """
    module = importlib.import_module(f"trainer.models.{name}")
    model = getattr(module, registry.section("model", name).__name__)(**hyperparameters)
    assert isinstance(model, nn.Module)
    return model
