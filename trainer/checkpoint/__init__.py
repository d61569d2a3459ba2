"""Checkpoints: the format, and reading files from anybody without running any of them."""

from trainer.checkpoint.description import scalars
from trainer.checkpoint.format import Checkpoint, read, write
from trainer.checkpoint.location import locate
from trainer.checkpoint.weights import clean, fitting, load_into, misfit, state_of

__all__ = ["Checkpoint", "clean", "fitting", "load_into", "locate", "misfit", "read", "scalars", "state_of", "write"]
