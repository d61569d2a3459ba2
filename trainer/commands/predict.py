"""`trainer predict`: what a checkpoint says of new images, or of the rows of a table."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key, ranks
from trainer.system.seats import several

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trainer.engine.ranks import Ranks
    from trainer.show.report import Report

SUMMARY = "classes or values of new images, or of the rows of a table, as a table"
EXAMPLES = """
trainer predict RUN input=photo.jpg                   an image; also a folder of any depth, or 'photos/*.png'
trainer predict RUN input=new.csv out=new.parquet     the rows of a table; - for one on standard input
trainer predict runs/sweeps/sweep/2026-01-31_12-00-00 input=photos predict.best=3
trainer predict cifar_net.pth model=lenet5 data=cifar10 input=photos
"""


@dataclass
class PredictOptions:
    """Which classes `trainer predict` considers, and what it writes of them."""

    top: int = key(3, "the likeliest N classes of each input, with their probabilities", minimum=1, maximum=10)
    all: bool = key(False, "the probability of every class, too: a column p_CLASS for each")
    classes: list[str] | None = key(
        None, "consider only these classes; their probabilities remain what they are among all", text=True
    )
    threshold: float | None = key(
        None,
        "of two classes: the probability from which on the second is predicted; of more: the one below which no class "
        "is; null: that of a calibrated checkpoint, or none",
        minimum=0,
        maximum=1,
    )
    best: int | None = key(None, "of a sweep, the N jobs that are best by their objective; null: all", minimum=1)
    allow_nonfinite: bool = key(False, "also use weights that are not finite, with a warning")


@dataclass
class Predict(Config):
    """`trainer predict`: what a checkpoint, or several together, say of new samples."""

    ckpt: list[str] = key(
        MISSING,
        "a run directory, a checkpoint file, or the directory of a sweep; of several the mean is taken",
        text=True,
        positional=True,
    )
    input: list[str] = key(
        MISSING, "an image, a folder, a pattern such as 'photos/**/*.jpg', a table, or -; or a list of them", text=True
    )
    out: str = key("predictions.csv", "the table of predictions: .csv, .parquet or .jsonl", text=True)
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "for a bare state_dict, or data of your own: the group `data`")
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps")
    devices: int | str = ranks("the samples")
    precision: str = key("float32", "precision of the model", choices=("float32", "float64", "tf32", "bfloat16"))
    predict: PredictOptions = field(
        default_factory=PredictOptions, metadata={"doc": "which classes, and what is written of them"}
    )


def run(config: Predict) -> dict[str, Any]:
    """Write the table of predictions, and show its first rows and what they come to.

    Returns:
        How many inputs there were, and how many of them could not be read.

    Raises:
        UserError: There is no such checkpoint or input, or they do not go together.
        PredictionError: Some inputs could not be read; the table says why.
    """
    from trainer.show.beginning import beginning
    from trainer.system.errors import listed

    asked = f"{listed(config.input)} by {listed(config.ckpt)}, device {config.device}"
    if several(config.devices):
        from trainer.run.ranks import spread

        found: dict[str, Any] | None = spread.run(Prediction(config), ("predict", asked))
        return found or {}  # not on another rank than the first
    with beginning("predict", asked) as screen:
        from trainer.predict import predicting

    return predicting.run(config, screen, config.ckpt, config.input, config.out, config.predict)


@dataclass
class Prediction:
    """The predictions as the task of several ranks."""

    config: Predict
    batch = None

    def lead(self, ranks: "Ranks", screen: "Report", at: "Callable[[Path], None]") -> dict[str, Any]:
        """Write and show what all say."""
        from trainer.predict import predicting

        config = self.config
        return predicting.run(config, screen, config.ckpt, config.input, config.out, config.predict, ranks)

    def follow(self, ranks: "Ranks") -> None:
        """Answer a share of the inputs."""
        from trainer.predict import predicting

        predicting.follow(self.config, self.config.ckpt, self.config.input, self.config.predict, ranks)
