"""One model per file. A model outputs logits (classification) or values (regression); its parameter
names are those of the public tutorials, so that bare `state_dict` files load into it.

`trainer.config.schema` declares each model's keys; its registry name is the file's name here.
"""

import importlib
from typing import Any

from torch import nn

# Registry name, which is the file's name too -> what in it builds the model.
BUILDERS = {
    "linear": "Linear",
    "mlp": "MLP",
    "lenet": "LeNet",
    "cifar_lenet": "CifarLeNet",
    "lenet5": "LeNet5",
    "resnet18": "resnet18",
}


def make(name: str, **hyperparameters: Any) -> nn.Module:
    """Build the registered model `name`.

    Raises:
        ValueError: hyperparameters that cannot work together, such as images too small for the layers.
    """
    module = importlib.import_module(f"trainer.models.{name}")
    model = getattr(module, BUILDERS[name])(**hyperparameters)
    assert isinstance(model, nn.Module)
    return model
