"""The workloads: who competes in each, with which command, and what is measured."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What the command line chose for all workloads."""

    data: Path
    device: str = "cpu"
    epochs: int = 3  # of a process whose epochs are timed; the first is warm-up
    pairs: int = 4  # of a process in which two take turns
    limit: int | None = None  # samples, or steps of the small regressions: for trials

    @property
    def tiny(self) -> "Settings":
        """Enough to see that a contender runs, and to fill caches."""
        return replace(self, epochs=1, pairs=1, limit=min(self.limit or 256, 256))


@dataclass(frozen=True)
class Case:
    """A contender and its command."""

    name: str
    words: tuple[str, ...]  # what follows `python`; `{round}` stands for a folder of the round's own
    needs: str | None = None  # the peer's package
    variants: tuple[tuple[str, ...], ...] = ()  # words to add: the fastest of them compete

    def adding(self, words: tuple[str, ...]) -> "Case":
        """With more words, and no variants."""
        return replace(self, words=(*self.words, *words), variants=())


@dataclass(frozen=True)
class Workload:
    """Contenders on one piece of work."""

    name: str
    summary: str
    figures: tuple[str, ...]  # what its table shows; the first is what a variant is chosen by
    cases: Callable[[Settings], list[Case]]
    subject: str | None = "trainer"  # ratios are this one over each of the others; None: no ratios
    in_order: bool = False  # the cases depend on each other: no rotation
    images: str | None = None  # what it needs below the data folder
    devices: tuple[str, ...] = ("cpu", "cuda")

    @property
    def group(self) -> str:
        """`batch` of `batch_64`."""
        head, _, tail = self.name.rpartition("_")
        return head if tail.isdigit() else self.name


NEEDS = {"lightning": "lightning", "accelerate": "accelerate", "skorch": "skorch", "keras": "keras"}
PEERS = ("bare", "tutorial", *NEEDS)
JPEGS = "cifar10-images"
BATCHES = (64, 256, 1024, 2048)
# 300 jobs that differ in plain values, and 300 that each choose other configs.
COMPOSING = {
    "values": ("model=lenet", "data=mnist", "optim.lr=range(0.001,0.031,0.001)", "seed=range(10)"),
    "choices": (
        "model=linear,mlp,lenet,cifar_lenet,lenet5",
        "data=digits,mnist,cifar10,fashion_mnist",
        "optim=sgd,adam,adamw",
        "scheduler=constant,step,cosine,exponential,plateau",
    ),
}


def _peer(name: str, settings: Settings, epochs: int, work: str = "mnist", batch: int = 64) -> Case:
    words = ["-m", f"benchmarks.contenders.{name}", "--work", work, "--data", str(settings.data)]
    words += ["--device", settings.device, "--batch", str(batch), "--epochs", str(epochs)]
    if settings.limit:
        words += ["--limit", str(settings.limit)]
    # Whether workers help depends on the machine, so a peer that leaves it open gets what is faster here.
    workers = sorted({0, 2, min(8, os.cpu_count() or 1)}) if name in ("lightning", "accelerate") else ()
    return Case(name, tuple(words), NEEDS.get(name), tuple(("--workers", str(n)) for n in workers))


def _trainer(settings: Settings, *overrides: str, name: str = "trainer", stamped: bool = True) -> Case:
    """The command line as it is, or stamped."""
    module = "benchmarks.contenders.trainer" if stamped else "trainer"
    words = ["-m", module, "train", *overrides, f"device={settings.device}"]
    if settings.limit:
        words.append(f"data.limit={settings.limit}")
    return Case(name, tuple(words))


def _mnist_lenet(settings: Settings) -> list[Case]:
    ours = _trainer(settings, "experiment=mnist_lenet", f"epochs={settings.epochs}")
    return [ours, *(_peer(name, settings, settings.epochs) for name in PEERS)]


def _ranks(settings: Settings) -> list[Case]:
    words = "-m", "benchmarks.contenders.ranks", "train", "experiment=mnist_lenet", f"epochs={settings.epochs}"
    limit = (f"data.limit={settings.limit}",) if settings.limit else ()
    return [Case(name, (*words, *limit, "device=cpu", f"devices={n}")) for name, n in (("two ranks", 2), ("alone", 1))]


def _process(settings: Settings) -> list[Case]:
    once = ("experiment=mnist_lenet", "epochs=1")
    return [
        _trainer(settings, *once, stamped=False),
        _trainer(settings, *once, "data.cache=null", name="trainer without cache", stamped=False),
        *(_peer(name, settings, 1) for name in PEERS),
    ]


def _cifar_blitz(settings: Settings) -> list[Case]:
    epochs = min(settings.epochs, 2)  # long ones: a second one to look at is enough
    folder = ("data=folder", f"data.path={settings.data / JPEGS}", "data.mean=[0.5]", "data.std=[0.5]")
    ours = _trainer(settings, "experiment=cifar_blitz", *folder, f"epochs={epochs}")
    return [ours, _peer("bare", settings, epochs, "cifar", 4)]


def _batch(size: int, settings: Settings) -> list[Case]:
    ours = _trainer(settings, "experiment=mnist_lenet", f"epochs={settings.epochs}", f"data.batch_size={size}")
    names = ("bare", "lightning") if settings.device != "cpu" else ("bare",)
    return [ours, *(_peer(name, settings, settings.epochs, batch=size) for name in names)]


def _placement(settings: Settings) -> list[Case]:
    words = ("experiment=mnist_lenet", f"epochs={settings.epochs}")
    return [
        _trainer(settings, *words, "data.placement=device", name="resident"),
        _trainer(settings, *words, "data.placement=stream", name="streamed"),
    ]


def _folder(settings: Settings) -> list[Case]:
    words = ("model=lenet5", "data=folder", f"data.path={settings.data / JPEGS}", "data.cache={round}/cache")
    short = ("max_steps=1", "epochs=1", "data.val_fraction=0", "plots=false", "tensorboard.enabled=false")
    return [_trainer(settings, *words, *short, name=f"{which} start") for which in ("first", "second")]


def _composing(words: tuple[str, ...], settings: Settings) -> list[Case]:
    contender = ("-m", "benchmarks.contenders.composing")
    return [Case(name, (*contender, name, *words)) for name in ("trainer", "hydra")]


def _start(settings: Settings) -> list[Case]:
    return [
        _trainer(replace(settings, limit=None), "experiment=mnist_lenet", "max_steps=1", "plots=false"),
        Case("import torch", ("-m", "benchmarks.contenders.torch")),
        Case("trainer --help", ("-m", "trainer", "--help")),
        Case("python", ("-c", "pass")),
    ]


def _sweep(settings: Settings, ways: Sequence[str], jobs: int, *words: str) -> list[Case]:
    """The same jobs in several ways: so many learning rates."""
    rates = ",".join(f"{0.002 * (1 + number):.3f}" for number in range(jobs))
    words = ("train", "-m", *words, f"optim.lr={rates}", f"device={settings.device}")
    if settings.limit:
        words = (*words, "max_steps=10")
    return [Case(way, ("-m", "benchmarks.contenders.sweep", *words, f"sweep={way}")) for way in ways]


def _sweep_short(settings: Settings) -> list[Case]:
    words = ("train", "-m", "seed=0,1,2,3", "epochs=2", f"device={settings.device}")
    return [Case(way, ("-m", "trainer", *words, f"sweep={way}")) for way in ("parallel", "serial", "auto")]


def _sweep_small(model: str, size: int, settings: Settings) -> list[Case]:
    bare = ("plots=false", "tensorboard.enabled=false")
    words = (f"model={model}", "data=digits", f"data.size={size}", "optim=sgd", "epochs=100", *bare)
    return _sweep(settings, ("batched", "serial"), 32, *words)


def _sweep_folds(settings: Settings) -> list[Case]:
    table = ("data=regression", "data.n_samples=2000", "data.n_features=20", "data.batch_size=64")
    words = ("train", "-m", "model=mlp", *table, "data.folds=5", "data.fold=range(5)", "optim=adam", "epochs=300")
    words = (*words, "plots=false", "tensorboard.enabled=false", f"device={settings.device}")
    if settings.limit:
        words = (*words, "max_steps=10")
    return [Case(way, ("-m", "benchmarks.contenders.sweep", *words, f"sweep={way}")) for way in ("batched", "serial")]


def _sweep_quadratic(settings: Settings) -> list[Case]:
    cases = _sweep(settings, ("batched", "serial", "parallel"), 32, "experiment=quadratic")
    plain = [word for word in cases[0].words[4:] if not word.startswith("sweep=")]  # after `train -m`
    launcher = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={os.cpu_count()}", "hydra.sweep.dir={round}/joblib")
    words = ("-m", "benchmarks.contenders.joblib_launcher", "-m", *plain, *launcher)
    return [*cases, Case("joblib launcher", words, "hydra_plugins.hydra_joblib_launcher")]


def _sweep_lenet(settings: Settings) -> list[Case]:
    if settings.device == "cpu":
        return _sweep(settings, ("parallel", "serial"), 8, "experiment=mnist_lenet", "epochs=1")
    return _sweep(settings, ("batched", "serial"), 32, "experiment=mnist_lenet", "epochs=2")


def _paired(work: str, settings: Settings) -> list[Case]:
    words = ["-m", "benchmarks.contenders.paired", work, "--pairs", str(settings.pairs)]
    if settings.limit:
        words += ["--limit", str(settings.limit)]
    return [Case(work, tuple(words))]


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "mnist_lenet",
            "MNIST LeNet, batch 64: an epoch with its test on 10,000 images",
            ("epoch", "memory", "accuracy"),
            _mnist_lenet,
            images="MNIST",
        ),
        Workload(
            "ranks",
            "mnist_lenet by two processes of one thread each, or by one that has all cores: an epoch with its test",
            ("epoch", "accuracy"),
            _ranks,
            subject="two ranks",
            images="MNIST",
            devices=("cpu",),
        ),
        Workload(
            "process",
            "mnist_lenet for one epoch: the whole process, from the command to its exit",
            ("wall", "cpu", "memory"),
            _process,
            images="MNIST",
        ),
        Workload(
            "cifar_blitz",
            "LeNet-5 on CIFAR-10, batch 4: an epoch with its test",
            ("epoch", "memory", "accuracy"),
            _cifar_blitz,
            images=JPEGS,
        ),
        Workload(
            "line",
            "a line through 40 points, 1,000 full-batch steps: the fit, in one process",
            ("fit",),
            partial(_paired, "line"),
            devices=("cpu",),
        ),
        Workload(
            "quadratic",
            "two sigmoid units on 10 points, 10,000 full-batch steps: the fit, in one process",
            ("fit",),
            partial(_paired, "quadratic"),
            devices=("cpu",),
        ),
        Workload(
            "conveniences",
            "epochs of mnist_lenet with and without TensorBoard, metrics.jsonl, checkpoints and progress bar",
            ("epoch",),
            partial(_paired, "conveniences"),
            subject="with",
            images="MNIST",
            devices=("cpu",),
        ),
        *(
            Workload(
                f"batch_{size}",
                f"MNIST LeNet in batches of {size:,}: an epoch with its test",
                ("epoch", "memory"),
                partial(_batch, size),
                images="MNIST",
            )
            for size in BATCHES
        ),
        Workload(
            "placement",
            "the training images on the device, or streamed to it: an epoch of mnist_lenet",
            ("epoch", "memory"),
            _placement,
            subject="streamed",
            images="MNIST",
        ),
        Workload(
            "folder",
            "60,000 JPEGs in class folders: from the command to the first step, with an empty cache and with its own",
            ("first", "memory"),
            _folder,
            subject="second start",
            in_order=True,
            images=JPEGS,
        ),
        *(
            Workload(
                f"sweep_{model}_{size}",
                f"32 learning rates of model={model} on {size}x{size} digits, 100 epochs: the jobs of a sweep",
                ("jobs", "wall", "memory"),
                partial(_sweep_small, model, size),
                subject="batched",
            )
            for model in ("linear", "mlp")
            for size in (8, 28)
        ),
        Workload(
            "sweep_folds",
            "5 folds of model=mlp on a table of 2,000 rows x 20 numbers, batch 64, 300 epochs: the jobs of a sweep",
            ("jobs", "wall", "memory"),
            _sweep_folds,
            subject="batched",
        ),
        Workload(
            "sweep_quadratic",
            "32 learning rates of experiment=quadratic, with all files of each: the whole command",
            ("wall", "jobs", "memory"),
            _sweep_quadratic,
            subject="batched",
            devices=("cpu",),
        ),
        Workload(
            "sweep_short",
            "4 seeds of lenet on digits for two epochs, of half a second each: the whole command, as people type it",
            ("wall", "memory"),
            _sweep_short,
            subject="parallel",
            devices=("cpu",),
        ),
        Workload(
            "sweep_lenet",
            "learning rates of mnist_lenet (CPU: 8 for an epoch, in parallel; GPU: 32, batched): the whole command",
            ("wall", "jobs", "memory"),
            _sweep_lenet,
            subject=None,
            images="MNIST",
        ),
        *(
            Workload(
                f"composing_{kind}",
                f"300 jobs of a sweep that differ in {kind}, composed and checked: by trainer, or one by one by Hydra",
                ("composing", "memory"),
                partial(_composing, words),
                devices=("cpu",),
            )
            for kind, words in COMPOSING.items()
        ),
        Workload(
            "start",
            "from the command until there is something to do: the first step of mnist_lenet, or `import torch` done",
            ("first", "wall"),
            _start,
            subject=None,
            images="MNIST",
        ),
    )
}
