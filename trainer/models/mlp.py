"""A perceptron with hidden layers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU
}  # fmt: skip
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
MOST = 100  # hidden layers


class MLP(nn.Sequential):
    """`fc1`, ..., `fcN` over the flattened input, (N, ...) -> (N, out_features).

    `hidden` are the units of the hidden layers, or of the only one. After each of them come its norm, the activation
    and dropout, where they are asked for: `fc1_norm`, `fc1_act`, `fc1_drop`.

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
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x.flatten(1))  # type: ignore[no-untyped-call]
        return out
