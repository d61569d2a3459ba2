"""Checkpoints: the format, and reading files from anybody without running any of them."""

from trainer.checkpoint.format import (
    Checkpoint,
    clean,
    fitting,
    load_into,
    locate,
    read,
    scalars,
    state_of,
    write,
)

__all__ = ["Checkpoint", "clean", "fitting", "load_into", "locate", "read", "scalars", "state_of", "write"]
