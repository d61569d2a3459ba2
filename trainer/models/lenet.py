"""The LeNet of PyTorch's MNIST tutorial."""

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet(nn.Module):
    """Two 5x5 convolutions (10 and 20 channels) with dropout, two linear layers; (N, C, S, S) -> logits.

    Max-pooling goes before the ReLU, as in the tutorial (basic MNIST example of pytorch/examples);
    the two commute, and pooling first does the ReLU on a quarter of the values.

    Raises:
        ValueError: Images are smaller than 16x16, and the layers would shrink them to nothing.
    """

    def __init__(self, in_channels: int, image_size: int, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        side = ((image_size - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"images of {image_size}x{image_size} are too small: 16x16 is the least")
        self.conv1 = nn.Conv2d(in_channels, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.conv2_drop = nn.Dropout2d(dropout)
        self.fc1 = nn.Linear(20 * side * side, 50)
        self.fc1_drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(50, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = self.fc1_drop(F.relu(self.fc1(x.flatten(1))))
        logits: Tensor = self.fc2(x)
        return logits
