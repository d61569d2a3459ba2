"""Short trainings with everything that a resume has to bring back: dropout, augmentation, momentum, schedules."""

from pathlib import Path

from processes import Machine

from .figures import the_run

COMMON = (
    *("plots=false", "tensorboard.graph=false", "tensorboard.every_steps=1", "checkpoint.every_steps=1"),
    *("data=digits", "data.limit=96", "epochs=4", "seed=3"),
)
TRAININGS = {
    "lenet": (
        *("model=lenet", "data.batch_size=12", "optim=sgd", "optim.momentum=0.9", "optim.lr=0.02"),
        *("scheduler=onecycle", "data.augment.shift=2", "data.augment.cutout=3", "evaluate.every_steps=3"),
    ),
    "mlp": (
        *("model=mlp", "data.size=8", "data.batch_size=8", "optim=adamw", "scheduler=cosine"),
        *("scheduler.warmup_steps=3", "clip_norm=1", "data.augment.shift=1", "accumulate=2"),
    ),
    "streamed": (
        *("model=lenet", "data.batch_size=12", "optim=sgd", "optim.momentum=0.9", "scheduler=onecycle"),
        *("data.augment.shift=2", "data.placement=stream", "data.workers=1"),
    ),
}


def command(name: str) -> tuple[str, ...]:
    """`train`, and what makes it that training."""
    return ("train", *COMMON, *TRAININGS[name])


def undisturbed(machine: Machine, name: str, *more: str) -> Path:
    """The run directory of that training, which nobody disturbed."""
    output = machine.folder / f"undisturbed-{name}"
    ended = machine.run(*command(name), *more, f"output={output}")
    assert ended.code == 0, ended.err
    run = the_run(output)
    assert run is not None
    return run
