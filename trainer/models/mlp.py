"""A perceptron with hidden layers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU
}  # fmt: skip
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
MOST = 100  # hidden layers
SKIP = 5.0  # what the linear path is multiplied by: weight decay then bears less on it than on the layers


class Skip(nn.Linear):
    """A linear layer without a bias that begins at 0, and whose outputs are `SKIP` times as large."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return SKIP * super().forward(x)


class MLP(nn.Sequential):
    """`fc1`, ..., `fcN` over the flattened input, (N, ...) -> (N, out_features).

    `hidden` are the units of the hidden layers, or of the only one. After each of them come its norm, the activation
    and dropout, where they are asked for: `fc1_norm`, `fc1_act`, `fc1_drop`. With `skip`, a linear path of this name is
    added to the outputs, so that the layers only have to learn what is not linear.

    Raises:
        ValueError: There are more than `MOST` hidden layers.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int | Sequence[int],
        activation: str,
        norm: str = "none",
        dropout: float = 0.0,
        skip: bool = False,
    ) -> None:
        units = [hidden] if isinstance(hidden, int) else list(hidden)
        if len(units) > MOST:
            raise ValueError(f"{len(units):,} hidden layers are too many: {MOST} are the most")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (before, after) in enumerate(zip([in_features, *units], units, strict=False), 1):
            layers[f"fc{number}"] = nn.Linear(before, after)
            if norm != "none":
                layers[f"fc{number}_norm"] = NORMS[norm](after)
            layers[f"fc{number}_act"] = ACTIVATIONS[activation]()
            if dropout:
                layers[f"fc{number}_drop"] = nn.Dropout(dropout)
        layers[f"fc{len(units) + 1}"] = nn.Linear([in_features, *units][-1], out_features)
        if skip:
            layers["skip"] = Skip(in_features, out_features)
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        inputs = out = x.flatten(1)
        for name, layer in self.named_children():
            out = out + layer(inputs) if name == "skip" else layer(out)
        return out
