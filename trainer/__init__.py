"""`trainer`: config-driven training of models of modest size, as a command and from Python (docs/python.md).

Importing it imports neither torch nor Hydra: what a function needs is imported when it is called.
"""

import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in ("trainer", "-mtrainer") and not sys.flags.safe_path:
    # `python -m trainer` has put the current directory first: what lies there would be taken for modules of Python's
    # own library, already by what is imported below.
    sys.path.append(sys.path.pop(0))

__version__ = "0.1.0"

from trainer.face import (  # the version comes first, for what is imported may ask for it
    Answers,
    Predictor,
    Run,
    TrainerError,
    TrainingFailedError,
    UserError,
    evaluate,
    load,
    resume,
    runs,
    train,
)

__all__ = [
    "Answers",
    "Predictor",
    "Run",
    "TrainerError",
    "TrainingFailedError",
    "UserError",
    "__version__",
    "evaluate",
    "load",
    "resume",
    "runs",
    "train",
]
