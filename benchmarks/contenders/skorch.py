"""skorch: a NeuralNetClassifier over ready tensors, validated on the test images after each epoch."""

from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from benchmarks.contenders import ready
from benchmarks.contenders.job import EVAL_BATCH, Job, Watch
from trainer import models


class Laps(Callback):  # type: ignore[misc]
    """Notes where its epochs start."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_epoch_begin(self, net: NeuralNetClassifier, **kwargs: Any) -> None:
        self.watch.lap()


def main() -> None:
    job, watch = Job.parse(), Watch()
    recipe, data = job.recipe, ready.load(job)
    net = NeuralNetClassifier(
        models.make(recipe.model, **recipe.shape),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=recipe.lr,
        optimizer__momentum=recipe.momentum,
        batch_size=job.batch,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=EVAL_BATCH,
        max_epochs=job.epochs,
        train_split=predefined_split(Dataset(data.test_x, data.test_y)),
        callbacks=[("laps", Laps(watch))],
        device=job.device,
    )
    net.fit(data.train_x, data.train_y)
    watch.lap()
    watch.write(accuracy=float(net.history[-1, "valid_acc"]))


if __name__ == "__main__":
    main()
