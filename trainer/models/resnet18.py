"""torchvision's ResNet-18 (He et al., 2016) with a last layer of the data's classes."""

from torch import nn

from trainer import checkpoint
from trainer.system.errors import CheckpointError


def ResNet18(  # noqa: N802  it builds a model as a class does
    in_channels: int, num_classes: int, weights: str | None = None, freeze: bool = False
) -> nn.Module:
    """ResNet-18 with torchvision's parameter names; (N, 3, H, W) -> logits.

    `weights` is None (random), "DEFAULT" (torchvision's ImageNet weights, downloaded into torch's cache)
    or a file with a `state_dict`, of which a last layer of another size is left out. `freeze` trains
    only `fc`.

    Raises:
        CheckpointError: The weights cannot be downloaded or read, or do not fit.
    """
    from torchvision.models import ResNet18_Weights, resnet18  # late: importing it takes longer than importing torch

    assert in_channels == 3  # the declared limits of the key tell users so
    model: nn.Module = resnet18()
    if weights == "DEFAULT":
        try:
            state = ResNet18_Weights.DEFAULT.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a wrong hash
            raise CheckpointError(
                f"the weights {ResNet18_Weights.DEFAULT.url} cannot be downloaded: {error}",
                "download them elsewhere and give model.weights=FILE, or train from scratch: model.weights=null",
            ) from error
        model.load_state_dict(state)
    assert isinstance(model.fc, nn.Linear)
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    if weights is not None and weights != "DEFAULT":
        loaded = checkpoint.clean(checkpoint.read(weights).model)
        own = model.state_dict()
        other = {k for k in ("fc.weight", "fc.bias") if k in loaded and loaded[k].shape != own[k].shape}
        checkpoint.load_into(model, {k: own[k] if k in other else v for k, v in loaded.items()}, weights)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not freeze or name.startswith("fc."))
    return model
