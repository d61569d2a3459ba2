"""Models of 28x28 digits with a fault each, beside one without: what `trainer check` has to find.

They are made by `configs/model/planted.yaml`, as a model of a user's own is.
"""

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, HIDDEN, CLASSES = 784, 24, 10


class Sound(nn.Module):
    """Two linear layers, and nothing wrong with them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(SIZE, HIDDEN)
        self.middle = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, CLASSES)

    def hidden(self, x: Tensor) -> Tensor:
        return F.relu(self.middle(F.relu(self.first(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.hidden(x))


class Frozen(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.middle.requires_grad_(False)


class Unused(Sound):
    def hidden(self, x: Tensor) -> Tensor:
        return F.relu(self.first(x.flatten(1)))


class Detached(Sound):
    def hidden(self, x: Tensor) -> Tensor:
        return F.relu(self.middle(F.relu(self.first(x.flatten(1))).detach()))


class InAList(Sound):
    """A layer that torch does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self.more = [nn.Linear(HIDDEN, HIDDEN)]

    def hidden(self, x: Tensor) -> Tensor:
        return F.relu(self.more[0](super().hidden(x)))


class Zero(Sound):
    def __init__(self) -> None:
        super().__init__()
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class Constant(Sound):
    """All units of the hidden layers begin alike, and the gradient does not part them."""

    def __init__(self) -> None:
        super().__init__()
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.01)


class Dead(Sound):
    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.middle.bias, -100.0)


class Saturated(Sound):
    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.middle(torch.tanh(300 * self.first(x.flatten(1)))))


class Sure(Sound):
    """Initial weights far too large."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.normal_(self.last.weight, std=20.0)


class Softmax(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class Sigmoid(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sigmoid()


class Nan(Sound):
    """The logarithm of what may be negative."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(super().forward(x))


class Unstable(Sound):
    """A cross-entropy of its own taste: shares of exp of large numbers, the difference of which is lost."""

    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) + 1e7) - 1e7


class Mixing(Sound):
    """The mean of the batch is taken from each sample, in evaluation, too."""

    def forward(self, x: Tensor) -> Tensor:
        outputs = super().forward(x)
        return outputs - outputs.mean(0)


class Blind(Sound):
    """The inputs are not looked at."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x))


class Flat(Sound):
    """One sample is fine; several become one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).view(1, -1)


class Outputs(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(HIDDEN, CLASSES - 1)


class Disagreeing(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.training else 3 * x)


class AlwaysDropping(Sound):
    def hidden(self, x: Tensor) -> Tensor:
        return F.dropout(super().hidden(x), 0.5)


class Unsettled(Sound):
    """Batch normalisation whose running statistics hardly move, after features of another size."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(HIDDEN, momentum=1e-6)

    def hidden(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(100 * super().hidden(x)))


class Normalised(Sound):
    """Batch normalisation and dropout as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(HIDDEN), nn.Dropout(0.5)

    def hidden(self, x: Tensor) -> Tensor:
        return self.drop(F.relu(self.norm(super().hidden(x))))


class ZeroLast(Sound):
    """The last layer begins at 0, as it may: its units get gradients of their own."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)


class Unseeded(Sound):
    """Weights from the system's randomness."""

    def __init__(self) -> None:
        super().__init__()
        drawing = torch.Generator().manual_seed(random.SystemRandom().randrange(2**60))
        with torch.no_grad():
            self.first.weight.normal_(std=0.03, generator=drawing)
