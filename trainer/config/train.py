"""The keys of `trainer train`."""

from dataclasses import dataclass, field
from typing import Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key, ranks


@dataclass
class Evaluate:
    """When and on what the model is evaluated during training."""

    split: str = key(
        "val", "val; or test, as the tutorials do (then no best.pt is picked)", choices=("val", "test"), often=True
    )
    every_epochs: int = key(1, "after every N epochs", minimum=1)
    every_steps: int | None = key(None, "also after every N steps", minimum=1)


@dataclass
class EarlyStopping:
    """Stop when the objective has not improved for a while."""

    patience: int | None = key(
        None, "evaluations without improvement; null: never stop early", minimum=1, runtime=True, often=True
    )
    min_delta: float = key(0.0, "smaller changes are no improvement", minimum=0)


@dataclass
class Checkpointing:
    """When checkpoints/last.pt is written, beside the start and the end; best.pt goes with it."""

    every_steps: int | None = key(None, "after every N steps", minimum=1, runtime=True)
    every_epochs: int | None = key(None, "after every N epochs", minimum=1, runtime=True)
    every_minutes: float | None = key(0.5, "when the last one is N minutes old", above=0, runtime=True)


@dataclass
class TensorBoard:
    """What goes into TensorBoard's file beside metrics.jsonl."""

    enabled: bool = key(True, "write events.out.tfevents.*", runtime=True)
    every_steps: int = key(50, "one point of the curve loss/within_epochs per N steps", minimum=1, runtime=True)
    graph: bool = key(False, "the model's graph, drawn by torch.export: that takes seconds", runtime=True)
    histograms: bool = key(False, "histograms of weights and gradients, each epoch", runtime=True)


@dataclass
class Train(Config):
    """`trainer train`: fit, then test."""

    NAMES = ("metric", "hook", "augment")

    model: Any = key(MISSING, "the model: a section of the group `model`")
    data: Any = key(MISSING, "the data: a section of the group `data`")
    optim: Any = key(MISSING, "the optimizer: a section of the group `optim`")
    scheduler: Any = key(MISSING, "the learning-rate schedule: a section of the group `scheduler`")
    loss: Any = key(MISSING, "the loss: a section of the group `loss`")
    sweep: Any = key(MISSING, "how the jobs of -m are run: a section of the group `sweep`")
    search: Any = key(MISSING, "which jobs -m has: a section of the group `search`")
    tracking: Any = key(MISSING, "who is told of the training: a section of the group `tracking`")
    name: str | None = key(None, "name of the run, a folder below output; null: MODEL_DATA", text=True, often=True)
    output: str = key("runs", "folder that run directories are made in", text=True, often=True)
    from_: str | None = key(
        None, "start from the weights of this run or checkpoint file, its model and its data", text=True, often=True
    )
    seed: int = key(
        0, "seed of weights, batch order, dropout and augmentation", minimum=0, maximum=2**32 - 1, often=True
    )
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps", runtime=True, often=True)
    devices: int | str = ranks("each batch", " (what was taken is shown)", runtime=True, often=True)
    sync_batchnorm: str = key(
        "auto",
        "with several devices: batch norm by the statistics of the whole batch, as one device has them; false: of each "
        "device's part; auto: true",
        choices=("auto", "true", "false"),
    )
    rank_timeout: float = key(
        300.0,
        "with several devices: seconds that one of them is waited for before the training is given up",
        above=0,
        maximum=86400,
        runtime=True,
    )
    precision: str = key(
        "float32", "bfloat16 is mixed: float32 weights", choices=("float32", "float64", "tf32", "bfloat16"), often=True
    )
    compile: str = key(
        "auto",
        "how a step runs: off (eagerly), inductor (compiled), cudagraph (captured, NVIDIA); auto: cudagraph on CUDA, "
        "otherwise off",
        choices=("auto", "off", "inductor", "cudagraph"),
        runtime=True,
    )
    deterministic: bool = key(False, "only kernels that give the same bits each time (on a GPU; slower)", runtime=True)
    epochs: int | str = key(
        "auto",
        "passes over the training set; auto: 10, and more of a small one (what was chosen is shown)",
        words=("auto",),
        minimum=1,
        runtime=True,
        often=True,
    )
    max_steps: int | None = key(None, "stop after N steps, even within an epoch", minimum=1, runtime=True)
    max_minutes: float | None = key(
        None, "end the training in time for its test to end after N minutes", above=0, runtime=True, often=True
    )
    until: str | None = key(None, "end the training once a metric is so: val/accuracy>0.99", runtime=True, text=True)
    accumulate: int = key(1, "batches whose gradients make one step", minimum=1)
    clip_norm: float | None = key(None, "largest norm of the gradient", above=0)
    on_nan: str = key(
        "stop",
        "a loss that is not finite: stop the training; skip the step; or ignore it",
        choices=("stop", "skip", "ignore"),
        runtime=True,
    )
    label_smoothing: float = key(0.0, "of the training loss, cross-entropy only", minimum=0, below=1)
    ema: float | None = key(
        None,
        "decay of a moving average of the weights, like 0.999, which is evaluated and saved in their place; null: none",
        above=0,
        below=1,
        often=True,
    )
    metrics: list[str] = key(
        [],
        "further metrics of each evaluation: balanced_accuracy, f1, auc, average_precision, or your own, from "
        "./configs/metric",
        text=True,
        runtime=True,
        kind="metric",
    )
    hooks: list[str] = key([], "what of your own watches the training, from ./configs/hook", text=True, kind="hook")
    objective: str = key("auto", "metric that picks the best: auto is val/accuracy, or val/loss in regression")
    direction: str = key("auto", "auto: min for losses and errors, otherwise max", choices=("auto", "min", "max"))
    plots: bool = key(True, "draw the pictures in plots/, and those of the test in test/", runtime=True)
    tables: bool = key(
        True, "leave in test/ what the model says of each test sample, and which labels may be wrong", runtime=True
    )
    checkpoint: Checkpointing = field(default_factory=Checkpointing, metadata={"doc": "when checkpoints are written"})
    evaluate: Evaluate = field(default_factory=Evaluate, metadata={"doc": "evaluation during training"})
    early_stopping: EarlyStopping = field(
        default_factory=EarlyStopping, metadata={"doc": "stopping before the last epoch"}
    )
    tensorboard: TensorBoard = field(default_factory=TensorBoard, metadata={"doc": "TensorBoard's file"})
