"""The keys of each optimizer, with torch's own names and defaults, and what torch can do with it."""

from dataclasses import dataclass
from typing import ClassVar

from trainer.config.keys import MISSING, key

OF_GROUPS = ("backbone_lr", "decay_norm_bias")  # keys that part the parameters into groups


@dataclass
class Optim:
    """Keys that every optimizer has.

    A dataclass is called as its class in `torch.optim`, which takes the keys but `name` and those of `OF_GROUPS`. A
    step can be in a CUDA graph if it is `fused` or `capturable`.
    """

    fused: ClassVar[bool] = False  # has a fused kernel on CPU and CUDA
    capturable: ClassVar[bool] = False  # has to be told that its steps will be in a CUDA graph
    linear: ClassVar[bool] = False  # as batched sweeps need it: moves a parameter by an amount linear in `lr`

    name: str = key(MISSING, "registry name")
    lr: float = key(1e-3, "learning rate; with `scheduler=onecycle` its peak", above=0, often=True)
    weight_decay: float = key(0.0, "L2 penalty, or decoupled decay for adamw", minimum=0, often=True)
    backbone_lr: float | None = key(
        None, "learning rate of all but the model's last layer, which has `lr`; null: `lr` for all", above=0
    )
    decay_norm_bias: bool = key(
        True, "weight decay also of biases and of the weights of norms, which have one dimension"
    )


@dataclass
class SGD(Optim):
    """Stochastic gradient descent."""

    linear: ClassVar[bool] = True
    fused: ClassVar[bool] = True
    name: str = key("sgd", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0, often=True)
    momentum: float = key(0.0, "momentum", minimum=0, below=1, often=True)
    dampening: float = key(0.0, "dampening of the momentum", minimum=0, maximum=1)
    nesterov: bool = key(False, "Nesterov's momentum")


@dataclass
class Adam(Optim):
    """Adam (Kingma and Ba, 2015)."""

    linear: ClassVar[bool] = True
    fused: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    name: str = key("adam", "registry name")
    betas: list[float] = key([0.9, 0.999], "decay of the two running means", minimum=0, below=1, length=2)
    eps: float = key(1e-8, "added to the denominator", minimum=0)
    amsgrad: bool = key(False, "the AMSGrad variant")


@dataclass
class FittingOptim(Adam):
    """`adam`, with its defaults; on tables `adamw`, with those that were measured on many of them (docs/study.md)."""

    name: str = key("auto", "registry name")
    # Whoever makes an optimizer has numbers: `trainer.run.choosing` has put a section of another kind in its place.
    lr: float | str = key(  # type: ignore[assignment]
        "auto", "learning rate: auto: 1e-3, and 3e-3 on tables", words=("auto",), above=0, often=True
    )
    weight_decay: float | str = key(  # type: ignore[assignment]
        "auto",
        "auto: none; on tables decoupled, 1, and 2 of fewer than 1,000 rows",
        words=("auto",),
        minimum=0,
        often=True,
    )


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: str = key("adamw", "registry name")
    weight_decay: float = key(0.01, "decoupled weight decay", minimum=0, often=True)


@dataclass
class Adagrad(Optim):
    """Adagrad (Duchi et al., 2011)."""

    linear: ClassVar[bool] = True
    name: str = key("adagrad", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0, often=True)
    lr_decay: float = key(0.0, "decay of the learning rate", minimum=0)
    eps: float = key(1e-10, "added to the denominator", minimum=0)


@dataclass
class RMSprop(Optim):
    """RMSprop (Hinton's lecture, 2012)."""

    linear: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    name: str = key("rmsprop", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0, often=True)
    alpha: float = key(0.99, "decay of the running mean of squares", minimum=0, below=1)
    eps: float = key(1e-8, "added to the denominator", minimum=0)
    momentum: float = key(0.0, "momentum", minimum=0, below=1, often=True)
    centered: bool = key(False, "divide by the estimated variance")
