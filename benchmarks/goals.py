"""What trainer is to reach against the others, on two CPU cores, as medians of figures taken in the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Round, Spread, differences, ratios


@dataclass(frozen=True)
class Goal:
    """`subject` over `other` is at most `limit`; with `seconds`, `subject` minus `other`."""

    workload: str
    figure: str
    subject: str
    other: str
    limit: float
    seconds: bool = False

    def reached(self, rounds: Sequence[Round]) -> Spread | None:
        """Where it stands; None where it was not measured."""
        compare = differences if self.seconds else ratios
        return Spread.of(compare(rounds, self.figure, self.subject, self.other))


GOALS = (
    Goal("mnist_lenet", "epoch", "trainer", "bare", 0.80),
    Goal("mnist_lenet", "epoch", "trainer", "tutorial", 0.50),
    Goal("mnist_lenet", "epoch", "trainer", "lightning", 0.33),
    Goal("mnist_lenet", "epoch", "trainer", "accelerate", 0.45),
    Goal("ranks", "epoch", "two ranks", "alone", 0.80),
    Goal("process", "wall", "trainer", "lightning", 0.40),
    Goal("process", "memory", "trainer", "bare", 1.1),
    Goal("cifar_blitz", "epoch", "trainer", "bare", 1.05),
    Goal("line", "fit", "trainer", "bare", 2),
    Goal("quadratic", "fit", "trainer", "bare", 2),
    Goal("conveniences", "epoch", "with", "without", 1.03),
    Goal("folder", "first", "second start", "first start", 0.2),
    Goal("sweep_linear_8", "jobs", "batched", "serial", 0.20),
    Goal("sweep_mlp_8", "jobs", "batched", "serial", 0.20),
    Goal("sweep_folds", "jobs", "batched", "serial", 0.5),
    Goal("sweep_quadratic", "wall", "batched", "serial", 0.25),
    Goal("sweep_quadratic", "wall", "batched", "joblib launcher", 0.33),
    Goal("sweep_short", "wall", "parallel", "serial", 0.7),
    Goal("sweep_lenet", "wall", "parallel", "serial", 0.75),
    Goal("composing_values", "composing", "trainer", "hydra", 0.05),
    Goal("composing_choices", "composing", "trainer", "hydra", 0.33),
    Goal("start", "first", "trainer", "import torch", 1, seconds=True),
    Goal("start", "wall", "trainer --help", "import torch", 0.3),
)


def standing(measured: Mapping[str, Sequence[Round]]) -> list[tuple[Goal, Spread]]:
    """The goals of the workloads that were measured (name -> rounds), each with where it stands."""
    found = [(goal, goal.reached(measured.get(goal.workload, ()))) for goal in GOALS]
    return [(goal, spread) for goal, spread in found if spread is not None]
