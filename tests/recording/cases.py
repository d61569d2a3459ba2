"""The trainings and sweeps that both checkouts run: few steps each, and together every part that has state."""

from .commands import Case, at_once, case, exits, interrupted, shown

QUIET = "plots=false tensorboard.graph=false"
CIFAR = f"data=folder data.path={{data}}/cifar10-images data.limit=300 max_steps=6 {QUIET}"
MNIST = f"data.root={{data}} data.download=false data.limit=1500 max_steps=20 {QUIET}"

RECIPES = (
    case("line", f"train experiment=line epochs=20 {QUIET}"),
    case("linear_regression", f"train experiment=linear_regression epochs=5 {QUIET}"),
    case("quadratic", f"train experiment=quadratic epochs=30 {QUIET}"),
    case("mnist_lenet", f"train experiment=mnist_lenet {MNIST}"),
    case("mnist_lenet_best", f"train experiment=mnist_lenet_best {MNIST}"),
    case("cifar_blitz", f"train experiment=cifar_blitz {CIFAR}"),
    case("cifar_lenet", f"train experiment=cifar_lenet evaluate.every_steps=4 {CIFAR}"),
    case("cifar_lenet_best", f"train experiment=cifar_lenet_best {CIFAR}"),
    case(
        "finetune_folder",
        "train experiment=finetune_folder data.path={inputs}/images data.batch_size=6 data.size=64 data.resize=72 "
        f"max_steps=3 {QUIET}",
    ),
    case(
        "small_folder",
        f"train experiment=small_folder data.path={{inputs}}/images data.batch_size=6 data.size=32 epochs=2 {QUIET}",
    ),
    case("table", f"train experiment=table data.path={{inputs}}/flowers.csv data.target=kind max_steps=30 {QUIET}"),
)

LENET = (
    "train model=lenet data.limit=1000 data.batch_size=8 epochs=3 optim=sgd optim.lr=0.03 optim.momentum=0.9 "
    "scheduler=onecycle accumulate=2 data.augment.shift=2 data.augment.cutout=3 data.augment.crop=1 "
    f"evaluate.every_steps=30 tensorboard.every_steps=10 seed=3 {QUIET}"
)
MLP = (
    "train model=mlp data.size=8 data.limit=200 data.batch_size=16 epochs=8 optim=adamw optim.lr=0.01 "
    "scheduler=exponential scheduler.warmup_steps=9 clip_norm=0.5 early_stopping.patience=2 "
    f"early_stopping.min_delta=0.02 data.augment.shift=1 tensorboard.every_steps=2 seed=5 {QUIET}"
)
LINEAR = (
    "train model=linear data=diabetes data.batch_size=50 epochs=12 optim=rmsprop optim.momentum=0.5 optim.lr=0.5 "
    f"scheduler=plateau scheduler.patience=1 scheduler.factor=0.5 tensorboard.histograms=true {QUIET}"
)
MIXED = "data.augment.preset=strong data.augment.mixup=0.2 data.augment.cutmix=1 ema=0.9 max_steps=40"
STREAMED = "data.placement=stream data.cache=null"

RESUMED = (
    case("lenet after Ctrl-C", interrupted(LENET), "resume {run}"),
    case(
        "lenet after Ctrl-C, streamed",
        interrupted(f"{LENET} {STREAMED} data.workers=1"),
        "resume {run}",
    ),
    case("mlp", f"{MLP} max_steps=17", "resume {run} max_steps=1000"),
    case("mlp, streamed", f"{MLP} max_steps=17 {STREAMED} data.workers=0", "resume {run} max_steps=1000"),
    case("linear", f"{LINEAR} max_steps=20", "resume {run} max_steps=60", "resume {run}"),
    case(
        "lenet for longer",
        "train model=lenet data.limit=100 data.batch_size=12 epochs=4 scheduler=step scheduler.step_size=1 "
        f"max_steps=5 tensorboard.every_steps=1 {QUIET}",
        "resume {run} max_steps=11",
        "resume {run} epochs=5 max_steps=null",
    ),
)

OTHERS = (
    case("augmented, mixed and averaged", f"{LENET} {MIXED}"),
    case("further metrics", f"train model=linear metrics=[f1,auc] objective=val/f1 data.limit=200 epochs=2 {QUIET}"),
    case(
        "table, smoothed labels, float64",
        "train model=mlp model.activation=tanh data=csv data.path={inputs}/flowers.csv data.target=kind epochs=4 "
        f"data.batch_size=8 optim=adagrad scheduler=exponential label_smoothing=0.1 precision=float64 {QUIET}",
    ),
    case(
        "lenet5, bfloat16",
        f"train model=lenet5 data.limit=100 epochs=2 optim.amsgrad=true precision=bfloat16 data.batch_size=20 {QUIET} "
        "scheduler=cosine scheduler.warmup_steps=2",
        exits(2, "resume {run} epochs=3"),
    ),
    case(
        "cifar_lenet of grey images",
        f"train model=cifar_lenet data.limit=100 epochs=2 optim=sgd optim.nesterov=true optim.momentum=0.8 {QUIET} "
        "data.augment.flip=true checkpoint.every_epochs=1 scheduler=step scheduler.step_size=1 name=grey",
    ),
    case("diverged", exits(1, f"train model=linear data=diabetes optim=sgd optim.lr=1e30 epochs=40 {QUIET}")),
    case("steps skipped", f"train model=linear data=diabetes optim.lr=1e30 on_nan=skip epochs=3 max_steps=9 {QUIET}"),
)

SMALL = f"data.size=8 data.limit=150 {QUIET}"
SWEEPS = (
    case(
        "batched linear",
        exits(
            1,
            "train -m sweep=batched model=linear optim=sgd optim.lr=0.01,0.1,1e38 optim.momentum=0,0.9 seed=0,1 "
            f"epochs=3 data.batch_size=16 {SMALL}",
        ),
    ),
    case(
        "batched mlp that leave early",
        "train -m sweep=batched model=mlp optim=adamw optim.lr=0.0003,0.01,0.1 seed=0,1 epochs=12 "
        f"early_stopping.patience=2 early_stopping.min_delta=0.01 data.augment.shift=1 clip_norm=1 {SMALL}",
        "resume {sweep} epochs=13",
    ),
    case(
        "batched lenet",
        "train -m sweep=batched model=lenet optim.lr=0.001,0.01 seed=0,1 epochs=2 scheduler=onecycle accumulate=2 "
        f"data.limit=120 data.batch_size=16 {QUIET}",
    ),
    case(
        "serial, a job of which fails",
        exits(1, f"train -m model=linear,mlp optim=sgd optim.lr=0.1,1e30 epochs=2 sweep.plots=true {SMALL}"),
        exits(1, "resume {sweep}"),
        "eval ckpt={sweep}/0",
    ),
    case(
        "parallel",
        at_once(f"train -m sweep=parallel sweep.jobs=2 model=mlp optim.lr=0.001,0.01,0.1 epochs=2 {SMALL}"),
    ),
    case(
        "searched",
        "train -m search=optuna search.trials=5 search.startup=2 model=mlp 'optim.lr=tag(log,interval(0.0001,0.1))' "
        f"'model.hidden=range(8,33)' optim=adam,sgd epochs=3 {SMALL}",
    ),
    case(
        "serial after Ctrl-C",
        interrupted(f"train -m model=mlp seed=0,1 epochs=4 data.batch_size=1 data.size=8 {QUIET}"),
        "resume {sweep}",
    ),
    case(
        "batched, for longer",  # Ctrl-C may come between two members' files, and those then go on one by one
        f"train -m sweep=batched model=mlp seed=0,1,2 optim=rmsprop max_steps=14 data.batch_size=16 {SMALL}",
        "resume {sweep} max_steps=25",
    ),
    case("listed only", f"train -m sweep=auto sweep.dry_run=true model=linear,lenet optim.lr=0.1,0.2 {SMALL}"),
)

SCREENS = (
    case(
        "a run, looked at",
        "train data.limit=200 epochs=2 data.batch_size=32",
        "eval ckpt={run}",
        "eval ckpt={run} split=val",
        "inspect ckpt={run} inspect.out=filters.png",
        "resume {run}",
        "resume {run} epochs=3",
        "train from={run} data.limit=100 epochs=1 plots=false",
        shown("resume {run} --cfg job"),
        shown("eval ckpt={run} split=train --cfg job"),
        exits(2, "resume {run} model=mlp"),
        exits(2, "resume {run} optim.lr=3"),
        exits(2, "eval ckpt={run} data=diabetes"),
    ),
    case(
        "looked at without a run",
        "inspect model=resnet18 data=folder data.path={inputs}/images",
        "inspect model=linear data=diabetes",
        "check model=mlp data=diabetes check.only=batches,splits",
        "inspect data=folder data.path={inputs}/images inspect.out=images.png",
        "eval ckpt={inputs}/bare.pth model=linear data=digits data.size=8",
        exits(2, "eval ckpt={inputs}/bare.pth model=mlp data=digits"),
        exits(2, "eval ckpt={inputs}/bare.pth"),
    ),
    case(
        "configs shown",
        shown("train --cfg job"),
        shown("train --cfg job model=mlp optim.lr=3e-4 scheduler=onecycle data=cifar10 sweep=parallel"),
        shown("train --cfg job --resolve experiment=mnist_lenet_best data.root=elsewhere data.cache=null"),
        shown("train --cfg job --package optim experiment=cifar_lenet_best"),
        shown("eval --cfg job ckpt=x.pt data=csv data.target=kind device=cpu"),
        shown("inspect --cfg job model=resnet18 data=folder"),
        shown("resume --cfg job x"),
        "train --info defaults experiment=line",
        "train --info defaults-tree experiment=line",
        "train --hydra-help",
    ),
)


def cases() -> dict[str, tuple[Case, ...]]:
    """All of them, by what they are about."""
    from .mistakes import HELP, MISTAKES

    return {
        "recipe": RECIPES,
        "resumed": RESUMED,
        "training": OTHERS,
        "sweep": SWEEPS,
        "screen": SCREENS,
        "help": HELP,
        "mistake": MISTAKES,
    }
