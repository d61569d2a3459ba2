"""The keys of each model. A dataclass is called as what builds its model in `trainer/models/NAME.py`."""

from dataclasses import dataclass

from trainer.config.keys import MISSING, key


@dataclass
class Initial:
    """How the weights of any model are drawn before the first step: keys that those of the user's own have, too."""

    init: str = key(
        "default",
        "how weights are drawn: as the layers do it themselves, or by one of these rules",
        choices=("default", "xavier", "kaiming", "orthogonal"),
        private=True,
    )
    init_gain: float | None = key(
        None,
        "what the drawn weights of all but the last layer are multiplied by; null: 1, and sqrt(2) for kaiming",
        above=0,
        private=True,
    )
    init_bias: float | None = key(
        None, "biases of these layers; null: 0, or with init=default as the layers do it", private=True
    )


@dataclass
class Linear(Initial):
    """One linear layer; images are flattened."""

    name: str = key("linear", "registry name")
    in_features: int = key(MISSING, "input features", minimum=1)
    out_features: int = key(MISSING, "outputs: classes, or target columns", minimum=1)


@dataclass
class MLP(Initial):
    """Linear layers with activations between them; images are flattened."""

    name: str = key("mlp", "registry name")
    in_features: int = key(MISSING, "input features", minimum=1)
    out_features: int = key(MISSING, "outputs: classes, or target columns", minimum=1)
    hidden: int | list[int] = key(64, "hidden units, or those of several hidden layers: [128,64]", minimum=1)
    activation: str = key("relu", "between the layers", choices=("sigmoid", "relu", "tanh", "gelu", "silu"))
    norm: str = key("none", "what normalises hidden layers before the activation", choices=("none", "batch", "layer"))
    dropout: float | str = key(
        "auto",
        "dropout after each hidden layer; auto: 0.3 in training on a table of fewer than 1,000 rows, otherwise none",
        words=("auto",),
        minimum=0,
        below=1,
    )
    skip: bool | str = key(
        "auto",
        "a linear path from the inputs to the outputs beside the layers; auto: in training on a table of fewer than "
        "1,000 rows",
        words=("auto",),
    )


@dataclass
class LeNet(Initial):
    """The LeNet of PyTorch's MNIST tutorial, with dropout."""

    name: str = key("lenet", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)
    dropout: float = key(0.5, "dropout of `conv2_drop` and after `fc1`", minimum=0, below=1)


@dataclass
class CifarLeNet(Initial):
    """A LeNet for CIFAR-10 with 16 and 32 channels."""

    name: str = key("cifar_lenet", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)


@dataclass
class LeNet5(Initial):
    """LeNet-5 with 6 and 16 channels, as in PyTorch's 60-minute blitz; small images are padded to 32."""

    name: str = key("lenet5", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)


@dataclass
class Network(Initial):
    """Keys of the networks of libraries."""

    name: str = key(MISSING, "registry name")
    arch: str = key(MISSING, "the network, by the library's name for it")
    in_channels: int = key(MISSING, "channels of the images; a grey one is repeated in three", minimum=1)
    num_classes: int = key(MISSING, "classes", minimum=2)
    weights: str | None = key(
        None,
        "start from: null (random), DEFAULT (the library's pretrained weights, downloaded) or a file; for other "
        "classes the last layer is made anew",
        private=True,
        outward=True,
        text=True,
    )
    freeze: bool = key(False, "train only the last layer; the rest, batch normalisation included, stays", private=True)


@dataclass
class TorchVision(Network):
    """Any of torchvision's networks for classification, with a last layer of the data's classes."""

    name: str = key("torchvision", "registry name")


@dataclass
class Timm(Network):
    """Any of timm's networks for images, with a last layer of the data's classes: `pip install 'trainer-cli[timm]'`."""

    name: str = key("timm", "registry name")


SHARED = Initial
