"""A perceptron with one hidden layer."""

from torch import Tensor, nn

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """`fc1`, activation, `fc2` over the flattened input, (N, ...) -> (N, out_features)."""

    def __init__(self, in_features: int, out_features: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.activation = ACTIVATIONS[activation]()
        self.fc2 = nn.Linear(hidden, out_features)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.activation(self.fc1(x.flatten(1))))
        return out
