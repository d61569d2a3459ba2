"""Lightning: a LightningModule, its Trainer, TensorBoard's logger and a checkpoint per epoch.

Its progress bar and its warnings about few workers are off, which makes it faster.
"""

import logging
import warnings

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from benchmarks.contenders import datasets
from benchmarks.contenders.job import Job, Watch
from trainer import models


class LitLeNet(lightning.LightningModule):
    def __init__(self, job: Job) -> None:
        super().__init__()
        self.recipe = job.recipe
        self.model = models.make(self.recipe.model, **self.recipe.shape)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self.model(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x, y = batch
        logits = self.model(x)
        self.log("val_loss", F.cross_entropy(logits, y))
        self.log("val_acc", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.recipe.lr, momentum=self.recipe.momentum)


class Laps(Callback):
    """Notes where its epochs start."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.watch.lap()


def main() -> None:
    job, watch = Job.parse(), Watch()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    trainer = lightning.Trainer(
        max_epochs=job.epochs,
        accelerator="cpu" if job.device == "cpu" else "gpu",
        devices=1,
        logger=TensorBoardLogger("lightning_logs"),
        callbacks=[ModelCheckpoint(dirpath="checkpoints", monitor="val_acc", mode="max"), Laps(watch)],
        num_sanity_val_steps=0,  # the others do not have one
        enable_progress_bar=False,
    )
    trainer.fit(LitLeNet(job), *datasets.loaders(job))
    watch.lap()
    watch.write(accuracy=float(trainer.callback_metrics["val_acc"]))


if __name__ == "__main__":
    main()
