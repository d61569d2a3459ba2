"""The last layer of a network, which gives its outputs: found by what it is, for each network calls it otherwise."""

from torch import nn

from trainer.system.errors import ConfigError

Layer = nn.Linear | nn.Conv2d


def outputs_of(layer: Layer) -> int:
    """How many outputs a layer has."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def last_layer(network: nn.Module, outputs: int) -> str:
    """The name of the last linear layer, or 1x1 convolution, if it has so many outputs and no layer comes after it.

    Raises:
        ValueError: The last layer with parameters is another.
    """
    named = [(name, module) for name, module in network.named_modules() if [*module.parameters(recurse=False)]]
    name, layer = named[-1] if named else ("", network)
    fits = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))
    if not fits or outputs_of(layer) != outputs:  # type: ignore[arg-type]
        raise ValueError(f"its last layer, '{name}' ({type(layer).__name__}), does not give {outputs} outputs")
    return name


def head_parameters(network: nn.Module, outputs: int) -> list[nn.Parameter]:
    """The parameters of the layers that give the outputs of a model, of whatever origin.

    Networks of timm, and ours with a path beside their layers, say which layers these are: some have two.

    Raises:
        ConfigError: It is not plain which layer gives the outputs.
    """
    try:
        names = classifiers(network) or (last_layer(network, outputs),)
    except ValueError as error:
        raise ConfigError(
            f"optim.backbone_lr is for all but the last layer, and which that is cannot be told: {error}",
            "leave optim.backbone_lr out",
        ) from error
    return [parameter for name in names for parameter in network.get_submodule(name).parameters()]


def classifiers(network: nn.Module) -> tuple[str, ...]:
    """The names of the last layers as a network of timm gives them, or one of ours; () for any other."""
    if isinstance(named := getattr(network, "last_layers", None), tuple):
        return named
    declared = getattr(network, "pretrained_cfg", None)
    found = declared.get("classifier") if isinstance(declared, dict) else None
    return (found,) if isinstance(found, str) else tuple(found or ())
