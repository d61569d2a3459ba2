"""The keys of each learning-rate schedule, and torch's scheduler that they stand for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from trainer.config.keys import MISSING, key
from trainer.system.errors import ConfigError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

Direction = Literal["min", "max"]  # of the metric that a training is judged by


@dataclass
class Scheduler:
    """Keys that every schedule has; `make` gives torch's scheduler, and the class variables say how it is stepped.

    The warm-up is added to what `make` gives: a schedule that is stepped per step begins after it, and the factor of
    one that is stepped per epoch is multiplied by that of the warm-up.
    """

    per_step: ClassVar[bool] = False  # stepped after each step; otherwise after each epoch
    whole: ClassVar[bool] = False  # laid out over the whole training: it has no value after the last step

    name: str = key(MISSING, "registry name")
    warmup_steps: int = key(0, "first steps, over which the learning rate grows linearly", minimum=0)

    def check(self, total_steps: int) -> None:
        """Check the keys against the length of the training.

        Raises:
            ConfigError: The schedule does not fit into so many steps.
        """
        if self.warmup_steps >= total_steps:
            raise ConfigError(
                f"scheduler.warmup_steps={self.warmup_steps}: the training has only {total_steps} steps", "use fewer"
            )

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        """Make torch's scheduler for an optimizer; None where the learning rate stays as it is.

        `total_steps` counts the steps without those of the warm-up; `direction` is where the objective is to go.
        """
        return None

    def moves_momentum(self, optimizer: "Optimizer") -> bool:
        """Whether the schedule changes the optimizer's momentum, too."""
        return False


@dataclass
class Constant(Scheduler):
    """The same learning rate throughout."""

    name: str = key("constant", "registry name")


@dataclass
class FittingSchedule(Scheduler):
    """`cosine` on tables with `epochs=auto`, otherwise `constant`."""

    name: str = key("auto", "registry name")


@dataclass
class StepDecay(Scheduler):
    """Multiply by `gamma` every `step_size` epochs (StepLR)."""

    name: str = key("step", "registry name")
    step_size: int = key(7, "epochs between two drops", minimum=1)
    gamma: float = key(0.1, "factor of each drop", above=0)

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, self.step_size, self.gamma)


@dataclass
class Exponential(Scheduler):
    """Multiply by `gamma` after each epoch (ExponentialLR)."""

    name: str = key("exponential", "registry name")
    gamma: float = key(0.9, "factor per epoch", above=0)

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        from torch.optim.lr_scheduler import ExponentialLR

        return ExponentialLR(optimizer, self.gamma)


@dataclass
class Cosine(Scheduler):
    """Half a cosine from the learning rate to `min_lr`, per step (CosineAnnealingLR)."""

    per_step: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    name: str = key("cosine", "registry name")
    min_lr: float = key(0.0, "learning rate at the end", minimum=0)

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return CosineAnnealingLR(optimizer, total_steps, self.min_lr)


@dataclass
class OneCycle(Scheduler):
    """Up to the learning rate and down again, per step (OneCycleLR); it is its own warm-up."""

    per_step: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    name: str = key("onecycle", "registry name")
    pct_start: float = key(0.3, "share of the steps that go up", above=0, below=1)
    div_factor: float = key(25.0, "peak over first learning rate", minimum=1)
    final_div_factor: float = key(1e4, "first over last learning rate", minimum=1)
    anneal: str = key("cos", "shape of both slopes", choices=("cos", "linear"))
    cycle_momentum: bool = key(True, "move the momentum the other way (0.85 to 0.95)")

    def check(self, total_steps: int) -> None:
        if self.warmup_steps:
            raise ConfigError(
                "scheduler=onecycle is its own warm-up", "set scheduler.pct_start, not scheduler.warmup_steps"
            )
        if self.pct_start * total_steps <= 1:
            raise ConfigError(
                f"scheduler=onecycle: {self.pct_start} of {total_steps} steps leaves no way up",
                "train longer, or use another schedule",
            )

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        from torch.optim.lr_scheduler import OneCycleLR

        return OneCycleLR(
            optimizer,
            [float(group["lr"]) for group in optimizer.param_groups],
            total_steps,
            pct_start=self.pct_start,
            anneal_strategy="cos" if self.anneal == "cos" else "linear",
            cycle_momentum=self.moves_momentum(optimizer),
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
        )

    def moves_momentum(self, optimizer: "Optimizer") -> bool:
        has_momentum = "betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum"))
        return self.cycle_momentum and has_momentum


@dataclass
class Plateau(Scheduler):
    """Multiply by `factor` when the objective stops improving (ReduceLROnPlateau)."""

    name: str = key("plateau", "registry name")
    factor: float = key(0.1, "factor of each drop", above=0, below=1)
    patience: int = key(10, "evaluated epochs without improvement before a drop", minimum=0)
    min_lr: float = key(0.0, "never below", minimum=0)

    def make(self, optimizer: "Optimizer", total_steps: int, direction: Literal["min", "max"]) -> "LRScheduler | None":
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return ReduceLROnPlateau(optimizer, direction, self.factor, self.patience, min_lr=self.min_lr)


@dataclass
class OwnSchedule(Scheduler):
    """The keys of a schedule of the user's own, beside those of its class or function."""

    per: str | None = key(
        None,
        "when a class of torch's kind is stepped; null: after each epoch (a function of the progress: after each step)",
        choices=("epoch", "step"),
    )


SHARED = Scheduler
OWN = OwnSchedule
