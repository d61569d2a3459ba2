"""What `import trainer` offers: a dozen names, described in docs/python.md. Everything else may change."""

from trainer.face.predicting import Answers, Predictor, load
from trainer.face.run import Run, runs
from trainer.face.training import evaluate, resume, train
from trainer.system.errors import TrainerError, TrainingFailedError, UserError

__all__ = [
    "Answers",
    "Predictor",
    "Run",
    "TrainerError",
    "TrainingFailedError",
    "UserError",
    "evaluate",
    "load",
    "resume",
    "runs",
    "train",
]
