"""Several models of one architecture trained as one program: their parameters stacked, each step one of all.

The models keep parameters, optimizers and schedules of their own, which are views into what is stacked: each can be
evaluated, saved and gone on with as if it were alone.
"""

from trainer.sweeps.batched.runner import Batched

__all__ = ["Batched"]
