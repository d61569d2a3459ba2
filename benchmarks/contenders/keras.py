"""Keras on torch: the same layers from its own shelf, `compile` and `fit` over ready arrays."""

import os

os.environ["KERAS_BACKEND"] = "torch"

from typing import Any

import keras
from keras import layers

from benchmarks.contenders import ready
from benchmarks.contenders.job import EVAL_BATCH, Job, Watch


class Laps(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes where its epochs start."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.watch.lap()


def main() -> None:
    job, watch = Job.parse(), Watch()
    recipe, data = job.recipe, ready.load(job)
    keras.config.set_image_data_format("channels_first")  # torch's own order: Keras need not turn images round
    model = keras.Sequential(
        [
            keras.Input((1, 28, 28)),
            layers.Conv2D(10, 5),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Conv2D(20, 5),
            layers.SpatialDropout2D(0.5),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(recipe.lr, momentum=recipe.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        data.train_x,
        data.train_y,
        batch_size=job.batch,
        epochs=job.epochs,
        validation_data=(data.test_x, data.test_y),
        validation_batch_size=EVAL_BATCH,
        verbose=2,  # a line per epoch, no bar
        callbacks=[Laps(watch)],
    )
    watch.lap()
    watch.write(accuracy=history.history["val_accuracy"][-1])


if __name__ == "__main__":
    main()
