"""Several models of one architecture trained as one program: their parameters stacked, each step one of all.

Each model keeps its own optimizer and schedule, and its parameters are views into what is stacked: it can be evaluated,
saved and resumed as if it were alone.
"""

from trainer.sweeps.batched.runner import Batched

__all__ = ["Batched"]
