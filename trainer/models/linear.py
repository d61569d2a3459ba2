"""Linear and logistic (softmax) regression."""

from torch import Tensor, nn


class Linear(nn.Module):
    """`linear`: one linear layer over the flattened input, (N, ...) -> (N, out_features)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        return out
