"""`trainer profile`: where the time of a training goes, and a change that was tried."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from trainer.config.keys import key
from trainer.config.train import Train
from trainer.system.errors import ConfigError

SUMMARY = "where the time of a training goes, and one change that was tried"
EXAMPLES = """
trainer profile experiment=mnist_lenet           what trainer train takes
trainer profile model=resnet18 device=cuda
trainer profile model=mlp data.batch_size=16 profile.out=profile
"""


@dataclass
class ProfileOptions:
    """How `trainer profile` measures, and where it leaves what it has found."""

    out: str | None = key(
        None,
        "a folder for the table, the picture and the trace: a new one, or that of an earlier profile, which is "
        "replaced; null: profiles/NAME/TIME",
        text=True,
    )
    seconds: float = key(
        10.0, "an epoch whose steps take longer is cut short, and so is an evaluation; the rest is reckoned", above=0
    )
    steps: int = key(10, "steps that torch's profiler looks at, for the operators and the trace", minimum=1)
    tries: int = key(3, "changes that are tried at most, until one is faster", minimum=0)


@dataclass
class Profile(Train):
    """`trainer profile`: it takes the keys of `trainer train`, and trains three epochs, of which nothing is kept."""

    profile: ProfileOptions = field(
        default_factory=ProfileOptions, metadata={"doc": "how it is measured, and where that is left"}
    )


def run(config: Profile) -> dict[str, Any]:
    """Measure a training, try a change, and show and leave both.

    Returns:
        The content of profile.json.

    Raises:
        UserError: The training cannot be started, or the folder is no place for a profile.
        TrainingFailedError: A loss is not finite.
        StorageError: A file cannot be written.
    """
    from trainer.profiling import place, startup
    from trainer.run import heading
    from trainer.show.beginning import beginning

    if config.devices not in (1, "auto"):
        hint = "leave it out: a profile tries by itself what it may bring"
        raise ConfigError(f"devices={config.devices}: a profile is of one process", hint)
    age = startup.age() if "torch" not in sys.modules else None  # else this process has done other things before
    begun = time.perf_counter()
    place.check(config.profile.out)
    title, asked = heading.of_start(config)
    with beginning("profile", f"{title}: {asked}") as screen:
        from trainer.profiling import profiling

    start = [("importing torch and what is needed", time.perf_counter() - begun)]
    if age is not None:
        start.insert(0, ("starting Python, and composing the config", age))
    return profiling.run(config, config.profile, screen, start)
