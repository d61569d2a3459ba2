"""The keys of each search, which says which jobs `-m` has."""

from dataclasses import dataclass

from trainer.config.keys import key


@dataclass
class Exhaustive:
    """No search: every combination of the values is a job."""

    name: str = key("none", "registry name")


@dataclass
class Optuna:
    """Optuna chooses the values of each job (a trial) by the results of earlier ones."""

    name: str = key("optuna", "registry name")
    trials: int = key(20, "trials in all, including those before a resume", minimum=1, runtime=True)
    sampler: str = key(
        "tpe",
        "what chooses the values: a tree-structured Parzen estimator, a Gaussian process, or chance",
        choices=("tpe", "gp", "random"),
        runtime=True,
    )
    pruner: str = key(
        "median",
        "what ends trials early: median, those below the median of the others at that epoch; hyperband; or none",
        choices=("median", "hyperband", "none"),
        runtime=True,
    )
    startup: int = key(
        8, "the first N trials are chosen by chance, and none is pruned before they have ended", minimum=1
    )
    at_once: int | None = key(
        None,
        "trials that are under way at once; fewer learn more from each other; null: 8, or one per GPU or "
        "CPU core where those are more",
        minimum=1,
        runtime=True,
    )
    seed: int = key(0, "seed of the search", minimum=0, maximum=2**32 - 1)
