"""LeNets with three linear layers, for CIFAR-10: the base that `lenet5` narrows."""

import torch.nn.functional as F
from torch import Tensor, nn


class CifarLeNet(nn.Module):
    """Two 5x5 convolutions (16 and 32 channels), three linear layers; (N, C, S, S) -> logits.

    Raises:
        ValueError: Images are smaller than 16x16, and the layers would shrink them to nothing.
    """

    channels = (16, 32)

    def __init__(self, in_channels: int, image_size: int, num_classes: int, padding: int = 0) -> None:
        super().__init__()
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"images of {image_size}x{image_size} are too small: 16x16 is the least")
        first, second = self.channels
        self.conv1 = nn.Conv2d(in_channels, first, 5, padding=padding)
        self.conv2 = nn.Conv2d(first, second, 5)
        self.fc1 = nn.Linear(second * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # pooling first: the two commute, and it is cheaper
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        logits: Tensor = self.fc3(x)
        return logits
