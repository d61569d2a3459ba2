"""What the server imports first that the workers of `sweep=parallel` are forked from; `warm` starts it."""

from trainer.system.forking import serving

serving()

import trainer.sweeps.attempt  # noqa: E402

__all__ = ["trainer"]
