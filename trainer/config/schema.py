"""Every key of every config: its type, default, limits and meaning, declared here and nowhere else.

One dataclass per section. `composition` hands the defaults to Hydra (so that `--cfg job` and tab
completion show every key) and checks what was composed against these classes before torch is imported;
`docs/reference.md` is written from them. A section that has a `name` is chosen in a config group, and its
class stands in one of the tables at the end, which are also the registries that checkpoints are read with.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

MISSING: Any = "???"  # OmegaConf's mark for a value that the user must give


def key(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    length: int | None = None,
    private: bool = False,
    runtime: bool = False,
) -> Any:
    """Declare a key.

    `private` keys say how to get something, not what it is: no checkpoint records them. `runtime` keys may change
    when a training is resumed: they say where, how long and with what beside it, and nothing of the weights at a step.
    """
    limits = {
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "below": below,
        "choices": choices,
        "length": length,
    }
    metadata = {"doc": doc, "private": private, "runtime": runtime} | {k: v for k, v in limits.items() if v is not None}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


# --- models -------------------------------------------------------------------------------------------


@dataclass
class Linear:
    """One linear layer; images are flattened."""

    name: str = key("linear", "registry name")
    in_features: int = key(MISSING, "input features", minimum=1)
    out_features: int = key(MISSING, "outputs: classes, or target columns", minimum=1)


@dataclass
class MLP:
    """Two linear layers with an activation between them; images are flattened."""

    name: str = key("mlp", "registry name")
    in_features: int = key(MISSING, "input features", minimum=1)
    out_features: int = key(MISSING, "outputs: classes, or target columns", minimum=1)
    hidden: int = key(64, "hidden units", minimum=1)
    activation: str = key("relu", "between the layers", choices=("sigmoid", "relu", "tanh"))


@dataclass
class LeNet:
    """The LeNet of PyTorch's MNIST tutorial, with dropout."""

    name: str = key("lenet", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)
    dropout: float = key(0.5, "dropout of `conv2_drop` and after `fc1`", minimum=0, below=1)


@dataclass
class CifarLeNet:
    """A LeNet for CIFAR-10 with 16 and 32 channels."""

    name: str = key("cifar_lenet", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)


@dataclass
class LeNet5:
    """LeNet-5 with 6 and 16 channels, as in PyTorch's 60-minute blitz; small images are padded to 32."""

    name: str = key("lenet5", "registry name")
    in_channels: int = key(MISSING, "channels of the images", minimum=1)
    image_size: int = key(MISSING, "side of the square images, pixels", minimum=16)
    num_classes: int = key(MISSING, "classes", minimum=2)


@dataclass
class ResNet18:
    """torchvision's ResNet-18 with a new last layer, for fine-tuning."""

    name: str = key("resnet18", "registry name")
    in_channels: int = key(MISSING, "channels of the images (3)", minimum=3, maximum=3)
    num_classes: int = key(MISSING, "classes", minimum=2)
    weights: str | None = key(
        None,
        "start from: null (random), DEFAULT (torchvision's ImageNet weights, downloaded) or a file",
        private=True,
    )
    freeze: bool = key(False, "train only the last layer, `fc`", private=True)


# --- data ---------------------------------------------------------------------------------------------


@dataclass
class Augment:
    """Random changes to training images, drawn anew for each sample and epoch from the run's seed."""

    flip: bool = key(False, "mirror left to right with probability one half")
    crop: int = key(0, "pad by this many black pixels and crop at random (0: off)", minimum=0)
    shift: int = key(0, "move by up to this many pixels; the border is mirrored in (0: off)", minimum=0)
    cutout: int = key(0, "side of a random square set to black (0: off)", minimum=0)


@dataclass
class Data:
    """Keys that every data set has."""

    classifies: ClassVar[bool | None] = True  # whether it has classes; None: only the files tell
    name: str = key(MISSING, "registry name")
    batch_size: int | None = key(64, "samples per step; null: the whole training set", minimum=1)
    eval_batch_size: int | None = key(
        None,
        "samples per batch in evaluation; null: 1,000, or fewer of large ones",
        minimum=1,
        private=True,
        runtime=True,
    )
    val_fraction: float = key(0.1, "share of the training set held out for validation", minimum=0, below=1)
    split_seed: int = key(0, "seed of the random splits; apart from `seed`, so that runs compare", minimum=0)
    limit: int | None = key(None, "use only the first so many samples of each split", minimum=1)
    augment: Augment = field(default_factory=Augment, metadata={"doc": "random changes to training images"})
    placement: str = key(
        "auto",
        "device: all samples lie on the training device; stream: batches come from files or main memory; "
        "auto: on the device if they take at most half of its free memory",
        choices=("auto", "device", "stream"),
        private=True,
        runtime=True,
    )
    workers: int | None = key(
        None,
        "processes that read streamed batches; null: by placement and cores",
        minimum=0,
        private=True,
        runtime=True,
    )
    features: int | None = key(None, "values per sample; filled in from the data", minimum=1, private=True)
    outputs: int | None = key(None, "classes or target columns; filled in from the data", minimum=1, private=True)
    num_classes: int | None = key(None, "classes; filled in from the data (null: regression)", minimum=2, private=True)
    channels: int | None = key(None, "channels of the images; filled in from the data", minimum=1, private=True)
    size: int | None = key(None, "side of the square images; filled in from the data", minimum=1, private=True)


@dataclass
class Cached(Data):
    """Keys of the data sets whose samples are decoded once and kept."""

    cache: str | None = key(
        "${oc.env:TRAINER_CACHE,'~/.cache/trainer'}",
        "folder that decoded samples are kept in ($TRAINER_CACHE, or ~/.cache/trainer); null: none",
        private=True,
        runtime=True,
    )


@dataclass
class Downloaded(Cached):
    """Keys of the data sets that torchvision downloads."""

    root: str = key(
        "${oc.env:TRAINER_DATA,data}", "folder the data sets lie in ($TRAINER_DATA, or ./data)", runtime=True
    )
    download: bool = key(True, "download what is missing", private=True, runtime=True)


@dataclass
class Digits(Cached):
    """scikit-learn's 1,797 handwritten digits, 8x8, scaled up; bundled, no download."""

    name: str = key("digits", "registry name")
    size: int | None = key(28, "side the 8x8 images are scaled up to", minimum=8)


@dataclass
class MNIST(Downloaded):
    """Handwritten digits, 28x28, 60,000 to train and 10,000 to test."""

    name: str = key("mnist", "registry name")
    features: int | None = key(784, "values per sample", minimum=1, private=True)
    outputs: int | None = key(10, "classes", minimum=1, private=True)
    num_classes: int | None = key(10, "classes", minimum=2, private=True)
    channels: int | None = key(1, "channels of the images", minimum=1, private=True)
    size: int | None = key(28, "side of the square images", minimum=1, private=True)


@dataclass
class FashionMNIST(MNIST):
    """Zalando's articles of clothing, 28x28, 60,000 to train and 10,000 to test."""

    name: str = key("fashion_mnist", "registry name")


@dataclass
class CIFAR10(Downloaded):
    """Ten classes of colour photographs, 32x32, 50,000 to train and 10,000 to test."""

    name: str = key("cifar10", "registry name")
    features: int | None = key(3072, "values per sample", minimum=1, private=True)
    outputs: int | None = key(10, "classes", minimum=1, private=True)
    num_classes: int | None = key(10, "classes", minimum=2, private=True)
    channels: int | None = key(3, "channels of the images", minimum=1, private=True)
    size: int | None = key(32, "side of the square images", minimum=1, private=True)


@dataclass
class Folder(Cached):
    """Images in one folder per class, below `train/`, `test/` and `val/`, or in a single tree that is split."""

    name: str = key("folder", "registry name")
    path: str = key(MISSING, "the folder", runtime=True)
    size: int | None = key(32, "side of the square images that the model sees", minimum=1)
    resize: int | None = key(
        None,
        "shorter side before the centre crop to `size`; null: images are scaled to the square",
        minimum=1,
    )
    channels: int | None = key(3, "1 (grey) or 3 (colour)", minimum=1, maximum=3)
    mean: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    std: list[float] | None = key(None, "per channel, of values in 0..1; null: measured on the training set")
    test_fraction: float = key(0.2, "share held out for testing where there is no `test/`", above=0, below=1)


@dataclass
class CSV(Data):
    """A table with a header line and a target column; numbers are standardised, words one-hot encoded."""

    classifies: ClassVar[bool | None] = None
    name: str = key("csv", "registry name")
    path: str = key(MISSING, "the file", runtime=True)
    target: str = key(MISSING, "name of the target column")
    task: str = key(
        "auto",
        "auto: classification where the target is words or few whole numbers",
        choices=("auto", "classification", "regression"),
    )
    test_fraction: float = key(0.2, "share held out for testing", above=0, below=1)


@dataclass
class Diabetes(Data):
    """scikit-learn's bundled regression table: 442 patients, 10 features."""

    classifies: ClassVar[bool | None] = False
    name: str = key("diabetes", "registry name")
    test_fraction: float = key(0.2, "share held out for testing", above=0, below=1)


@dataclass
class Regression(Data):
    """`sklearn.datasets.make_regression`: a noisy linear function."""

    classifies: ClassVar[bool | None] = False
    name: str = key("regression", "registry name")
    n_samples: int = key(100, "training samples, and as many to test", minimum=2)
    n_features: int = key(1, "features", minimum=1)
    noise: float = key(10.0, "standard deviation of the noise", minimum=0)
    data_seed: int = key(0, "seed of the samples", minimum=0)


@dataclass
class Line(Data):
    """y = 2x + 5 + U(0, 1) at 40 points in [-1, 1]."""

    classifies: ClassVar[bool | None] = False
    name: str = key("line", "registry name")
    data_seed: int = key(0, "seed of the noise", minimum=0)


@dataclass
class Quadratic(Data):
    """y = x² - 0.5x + 1.5625 at 10 points in [0, 1]; tested half-way between them."""

    classifies: ClassVar[bool | None] = False
    name: str = key("quadratic", "registry name")


# --- optimizers: torch.optim's own names and defaults ---------------------------------------------------


@dataclass
class Optim:
    """Keys that every optimizer has."""

    name: str = key(MISSING, "registry name")
    lr: float = key(1e-3, "learning rate; with `scheduler=onecycle` its peak", above=0)
    weight_decay: float = key(0.0, "L2 penalty, or decoupled decay for adamw", minimum=0)


@dataclass
class SGD(Optim):
    """Stochastic gradient descent."""

    name: str = key("sgd", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0)
    momentum: float = key(0.0, "momentum", minimum=0, below=1)
    dampening: float = key(0.0, "dampening of the momentum", minimum=0, maximum=1)
    nesterov: bool = key(False, "Nesterov's momentum")


@dataclass
class Adam(Optim):
    """Adam (Kingma and Ba, 2015)."""

    name: str = key("adam", "registry name")
    betas: list[float] = key([0.9, 0.999], "decay of the two running means", minimum=0, below=1, length=2)
    eps: float = key(1e-8, "added to the denominator", minimum=0)
    amsgrad: bool = key(False, "the AMSGrad variant")


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: str = key("adamw", "registry name")
    weight_decay: float = key(0.01, "decoupled weight decay", minimum=0)


@dataclass
class Adagrad(Optim):
    """Adagrad (Duchi et al., 2011)."""

    name: str = key("adagrad", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0)
    lr_decay: float = key(0.0, "decay of the learning rate", minimum=0)
    eps: float = key(1e-10, "added to the denominator", minimum=0)


@dataclass
class RMSprop(Optim):
    """RMSprop (Hinton's lecture, 2012)."""

    name: str = key("rmsprop", "registry name")
    lr: float = key(0.01, "learning rate; with `scheduler=onecycle` its peak", above=0)
    alpha: float = key(0.99, "decay of the running mean of squares", minimum=0, below=1)
    eps: float = key(1e-8, "added to the denominator", minimum=0)
    momentum: float = key(0.0, "momentum", minimum=0, below=1)
    centered: bool = key(False, "divide by the estimated variance")


# --- learning-rate schedules: torch.optim.lr_scheduler's ------------------------------------------------


@dataclass
class Scheduler:
    """Keys that every schedule has."""

    name: str = key(MISSING, "registry name")
    warmup_steps: int = key(0, "first steps, over which the learning rate grows linearly", minimum=0)


@dataclass
class Constant(Scheduler):
    """The same learning rate throughout."""

    name: str = key("constant", "registry name")


@dataclass
class Step(Scheduler):
    """Multiply by `gamma` every `step_size` epochs (StepLR)."""

    name: str = key("step", "registry name")
    step_size: int = key(7, "epochs between two drops", minimum=1)
    gamma: float = key(0.1, "factor of each drop", above=0)


@dataclass
class Exponential(Scheduler):
    """Multiply by `gamma` after each epoch (ExponentialLR)."""

    name: str = key("exponential", "registry name")
    gamma: float = key(0.9, "factor per epoch", above=0)


@dataclass
class Cosine(Scheduler):
    """Half a cosine from the learning rate to `min_lr`, per step (CosineAnnealingLR)."""

    name: str = key("cosine", "registry name")
    min_lr: float = key(0.0, "learning rate at the end", minimum=0)


@dataclass
class OneCycle(Scheduler):
    """Up to the learning rate and down again, per step (OneCycleLR); it is its own warm-up."""

    name: str = key("onecycle", "registry name")
    pct_start: float = key(0.3, "share of the steps that go up", above=0, below=1)
    div_factor: float = key(25.0, "peak over first learning rate", minimum=1)
    final_div_factor: float = key(1e4, "first over last learning rate", minimum=1)
    anneal: str = key("cos", "shape of both slopes", choices=("cos", "linear"))
    cycle_momentum: bool = key(True, "move the momentum the other way (0.85 to 0.95)")


@dataclass
class Plateau(Scheduler):
    """Multiply by `factor` when the objective stops improving (ReduceLROnPlateau)."""

    name: str = key("plateau", "registry name")
    factor: float = key(0.1, "factor of each drop", above=0, below=1)
    patience: int = key(10, "evaluated epochs without improvement before a drop", minimum=0)
    min_lr: float = key(0.0, "never below", minimum=0)


# --- sweeps: how the jobs of `-m` are run ---------------------------------------------------------------


@dataclass
class Sweeping:
    """Keys that every way to run a sweep has."""

    name: str = key(MISSING, "registry name")
    dry_run: bool = key(False, "only list the jobs, and what would be done with each", runtime=True)
    plots: bool = key(
        False, "draw each job's own pictures, too: for small models that takes longer than training", runtime=True
    )


@dataclass
class Serial(Sweeping):
    """One job after the other, in this process."""

    name: str = key("serial", "registry name")


@dataclass
class Parallel(Sweeping):
    """Several jobs at once, each in a process with its share of the CPU cores, or with a GPU of its own."""

    name: str = key("parallel", "registry name")
    jobs: int | None = key(None, "so many at once; null: one per GPU, or one per CPU core", minimum=1, runtime=True)


@dataclass
class Batched(Sweeping):
    """Jobs that differ in numbers alone as one program on one device: their models are stacked."""

    name: str = key("batched", "registry name")
    jobs: int = key(64, "so many at once; more take their turn", minimum=1, runtime=True)


@dataclass
class Auto(Sweeping):
    """Batched where that pays (on a CPU: linear models and small perceptrons), the rest in parallel."""

    name: str = key("auto", "registry name")
    jobs: int | None = key(None, "so many at once; null: as the two ways have it", minimum=1, runtime=True)


@dataclass
class Slurm(Sweeping):
    """Jobs in the queue of a Slurm cluster, by submitit (the extra `slurm`)."""

    name: str = key("slurm", "registry name")
    cluster: str = key(
        "slurm", "slurm; or local: processes on this machine, to try it out", choices=("slurm", "local"), runtime=True
    )
    jobs: int | None = key(
        None, "so many in the queue at once, waiting or running; null: 16, locally one per CPU core",
        minimum=1, runtime=True,
    )  # fmt: skip
    partition: str | None = key(None, "sbatch --partition; null: the cluster's default", runtime=True)
    account: str | None = key(None, "sbatch --account; null: your default", runtime=True)
    timeout_min: int = key(
        60, "minutes for each job, after which Slurm stops it with a checkpoint", minimum=1, runtime=True
    )
    cpus_per_task: int | None = key(
        None, "CPU cores for each job; null: the cluster's default", minimum=1, runtime=True
    )
    gpus_per_node: int | None = key(
        None, "GPUs for each job; null: none, or the cluster's default", minimum=0, runtime=True
    )
    mem_gb: float | None = key(None, "memory for each job, GB; null: the cluster's default", above=0, runtime=True)
    setup: list[str] = key([], "lines of shell before each job, like `module load cuda`; not locally", runtime=True)
    options: list[str] = key([], 'further options of sbatch, like `["--qos=high"]`; not locally', runtime=True)


@dataclass
class Ray(Sweeping):
    """Jobs as tasks of a Ray cluster, or of a Ray on this machine (the extra `ray`)."""

    name: str = key("ray", "registry name")
    address: str | None = key(
        None, "auto: the cluster of this machine; HOST:PORT or ray://HOST:PORT; null: a Ray just for this sweep",
        runtime=True,
    )  # fmt: skip
    jobs: int | None = key(
        None,
        "so many at once; null: as many as the cluster has CPUs and GPUs for as it begins",
        minimum=1,
        runtime=True,
    )
    cpus: float = key(1.0, "CPU cores for each job; as many threads", above=0, runtime=True)
    gpus: float | None = key(
        None, "GPUs for each job, 0.5: two share one; null: one where there are any", minimum=0, runtime=True
    )


# --- searches: which jobs `-m` has -----------------------------------------------------------------------


@dataclass
class Exhaustive:
    """No search: every combination of the values is a job."""

    name: str = key("none", "registry name")


@dataclass
class Optuna:
    """Optuna chooses the values of each job (a trial) by what came of those before."""

    name: str = key("optuna", "registry name")
    trials: int = key(20, "trials in all, also those of before a resume", minimum=1, runtime=True)
    sampler: str = key(
        "tpe",
        "what chooses the values: a tree-structured Parzen estimator, a Gaussian process, or chance",
        choices=("tpe", "gp", "random"),
        runtime=True,
    )
    pruner: str = key(
        "median",
        "what ends trials early: median, those below the median of the others at that epoch; hyperband; or none",
        choices=("median", "hyperband", "none"),
        runtime=True,
    )
    startup: int = key(8, "the first trials: chosen by chance, and none is pruned before they have ended", minimum=1)
    at_once: int | None = key(
        None,
        "so many trials at most that have not ended, for what comes of them chooses others; null: 8, or one per GPU or "
        "CPU core where those are more",
        minimum=1,
        runtime=True,
    )
    seed: int = key(0, "seed of the search", minimum=0, maximum=2**32 - 1)


# --- the verbs ----------------------------------------------------------------------------------------


@dataclass
class Evaluate:
    """When and on what the model is evaluated during training."""

    split: str = key("val", "val; or test, as the tutorials do (then no best.pt is picked)", choices=("val", "test"))
    every_epochs: int = key(1, "after every so many epochs", minimum=1)
    every_steps: int | None = key(None, "also after every so many steps", minimum=1)


@dataclass
class EarlyStopping:
    """Stop when the objective has not improved for a while."""

    patience: int | None = key(None, "evaluations without improvement; null: never stop early", minimum=1, runtime=True)
    min_delta: float = key(0.0, "smaller changes are no improvement", minimum=0)


@dataclass
class Checkpointing:
    """When checkpoints/last.pt is written, beside the start and the end; best.pt goes with it."""

    every_steps: int | None = key(None, "after every so many steps", minimum=1, runtime=True)
    every_epochs: int | None = key(None, "after every so many epochs", minimum=1, runtime=True)
    every_minutes: float | None = key(0.5, "as soon as the last one is so many minutes old", above=0, runtime=True)


@dataclass
class TensorBoard:
    """What goes into TensorBoard's file beside metrics.jsonl."""

    enabled: bool = key(True, "write events.out.tfevents.*", runtime=True)
    every_steps: int = key(50, "one point of the curve train/step_loss per so many steps", minimum=1, runtime=True)
    graph: bool = key(True, "the model's graph", runtime=True)
    histograms: bool = key(False, "histograms of weights and gradients, each epoch", runtime=True)


@dataclass
class Train:
    """`trainer train`: fit, then test."""

    model: Any = key(MISSING, "the model: a section of the group `model`")
    data: Any = key(MISSING, "the data: a section of the group `data`")
    optim: Any = key(MISSING, "the optimizer: a section of the group `optim`")
    scheduler: Any = key(MISSING, "the learning-rate schedule: a section of the group `scheduler`")
    sweep: Any = key(MISSING, "how the jobs of -m are run: a section of the group `sweep`")
    search: Any = key(MISSING, "which jobs -m has: a section of the group `search`")
    name: str | None = key(None, "name of the run; null: MODEL_DATA")
    output: str = key("runs", "folder that run directories are made in")
    from_: str | None = key(None, "start from the weights of this run or checkpoint file, its model and its data")
    seed: int = key(0, "seed of weights, batch order, dropout and augmentation", minimum=0, maximum=2**32 - 1)
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps", runtime=True)
    precision: str = key(
        "float32", "bfloat16 is mixed: float32 weights", choices=("float32", "float64", "tf32", "bfloat16")
    )
    compile: str = key(
        "auto",
        "how a step runs: off (eagerly), inductor (compiled), cudagraph (captured, NVIDIA); auto: cudagraph on CUDA, "
        "otherwise off",
        choices=("auto", "off", "inductor", "cudagraph"),
        runtime=True,
    )
    deterministic: bool = key(False, "only kernels that give the same bits each time (on a GPU; slower)", runtime=True)
    epochs: int = key(10, "passes over the training set", minimum=1, runtime=True)
    max_steps: int | None = key(None, "stop after so many steps, even within an epoch", minimum=1, runtime=True)
    accumulate: int = key(1, "batches whose gradients make one step", minimum=1)
    clip_norm: float | None = key(None, "largest norm of the gradient", above=0)
    on_nan: str = key(
        "stop",
        "a loss that is not finite: stop the training; skip the step; or ignore it",
        choices=("stop", "skip", "ignore"),
        runtime=True,
    )
    loss: str = key(
        "auto",
        "auto: cross_entropy for classes, mse otherwise; half_sse is half the summed squared error",
        choices=("auto", "cross_entropy", "mse", "half_sse"),
    )
    label_smoothing: float = key(0.0, "of the training loss, cross-entropy only", minimum=0, below=1)
    objective: str = key("auto", "metric that picks the best: auto is val/accuracy, or val/loss in regression")
    direction: str = key("auto", "auto: min for losses and errors, otherwise max", choices=("auto", "min", "max"))
    plots: bool = key(True, "draw the pictures in plots/", runtime=True)
    checkpoint: Checkpointing = field(default_factory=Checkpointing, metadata={"doc": "when checkpoints are written"})
    evaluate: Evaluate = field(default_factory=Evaluate, metadata={"doc": "evaluation during training"})
    early_stopping: EarlyStopping = field(
        default_factory=EarlyStopping, metadata={"doc": "stopping before the last epoch"}
    )
    tensorboard: TensorBoard = field(default_factory=TensorBoard, metadata={"doc": "TensorBoard's file"})


@dataclass
class Resume:
    """`trainer resume`: continue a training exactly. Beside `run`, the keys of `train` that may change."""

    run: str = key(MISSING, "a run directory")


@dataclass
class Eval:
    """`trainer eval`: metrics of a checkpoint on one split."""

    ckpt: str = key(MISSING, "a run directory or a checkpoint file")
    split: str = key("test", "the split to evaluate", choices=("test", "val", "train"))
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "other data than the checkpoint was trained on: the group `data`")
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = key("float32", "precision of the evaluation", choices=("float32", "float64", "tf32", "bfloat16"))


@dataclass
class InspectOptions:
    """Where the pictures of `trainer inspect` go."""

    out: str | None = key(None, "a picture: the filters of a checkpoint, else a grid of training images")


@dataclass
class Inspect:
    """`trainer inspect`: layers, shapes, parameters, FLOPs, and facts about the data."""

    ckpt: str | None = key(None, "a run directory or a checkpoint file")
    model: Any = key(None, "the model: a section of the group `model`")
    data: Any = key(None, "the data: a section of the group `data`")
    inspect: InspectOptions = field(default_factory=InspectOptions, metadata={"doc": "pictures"})


VERBS: dict[str, type] = {"train": Train, "resume": Resume, "eval": Eval, "inspect": Inspect}


def public(name: str) -> str:
    """A key as people type it: Python has words of its own, so `from` is `from_` here."""
    return name.removesuffix("_")


def _by_name(*sections: type) -> dict[str, type]:
    return {section.__dataclass_fields__["name"].default: section for section in sections}  # type: ignore[attr-defined]


GROUPS: dict[str, dict[str, type]] = {
    "model": _by_name(Linear, MLP, LeNet, CifarLeNet, LeNet5, ResNet18),
    "data": _by_name(Digits, MNIST, FashionMNIST, CIFAR10, Folder, CSV, Diabetes, Regression, Line, Quadratic),
    "optim": _by_name(SGD, Adam, AdamW, Adagrad, RMSprop),
    "scheduler": _by_name(Constant, Step, Exponential, Cosine, OneCycle, Plateau),
    "sweep": _by_name(Serial, Parallel, Batched, Auto, Slurm, Ray),
    "search": _by_name(Exhaustive, Optuna),
}

OF_A_TRAINING = ("model", "data", "optim", "scheduler")
OF_A_SWEEP = ("sweep", "search")  # how and which trainings are run

# What a section of the user's own (with `_target_`) shares with ours; the rest goes to their code.
COMMON: dict[str, type | None] = {
    "model": None,
    "data": Data,
    "optim": None,
    "scheduler": Scheduler,
    "sweep": Sweeping,
    "search": None,
}
