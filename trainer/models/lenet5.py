"""LeNet-5 (LeCun et al., 1998) as in PyTorch's 60-minute blitz."""

from trainer.models.cifar_lenet import CifarLeNet


class LeNet5(CifarLeNet):
    """6 and 16 channels; images below 32x32 are padded to it, so that 28x28 gives 400 features too."""

    channels = (6, 16)

    def __init__(self, in_channels: int, image_size: int, num_classes: int) -> None:
        padding = max(0, 33 - image_size) // 2  # rounded up: 27 becomes 33, which gives 5x5 as 32 does
        super().__init__(in_channels, image_size, num_classes, padding)
