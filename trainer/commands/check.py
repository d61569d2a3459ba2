"""`trainer check`: look at a training before it is started: its data, model, learning rate and machine."""

from dataclasses import dataclass, field
from typing import Any

from trainer.config.keys import key
from trainer.config.train import Train
from trainer.preflight import looks

SUMMARY = "look for what would spoil a training, before it is started"
EXAMPLES = """
trainer check experiment=mnist_lenet
trainer check data=table data.path=table.csv data.target=price model=mlp
trainer check data=folder data.path=photos check.only=[data,memory]      these areas and looks only
"""


@dataclass
class CheckOptions:
    """What `trainer check` looks at."""

    only: list[str] = key(
        [],
        "the areas that are looked at, or the looks that are taken; none: all",
        choices=looks.names(),
        text=True,
        often=True,
    )
    out: str | None = key(None, "a picture of the learning rates: FILE.png, .pdf or .svg", text=True)


@dataclass
class Check(Train):
    """`trainer check`: it takes the keys of `trainer train`, and trains nothing."""

    check: CheckOptions = field(default_factory=CheckOptions, metadata={"doc": "what is looked at"})


def run(config: Check) -> dict[str, Any]:
    """Look at the training that `config` asks for; each look says what it found, and what to type.

    Returns:
        The number of looks, and of findings that are worth knowing.

    Raises:
        UserError: The training would be refused.
        UnfitError: Something is wrong with it.
    """
    from trainer.run import heading
    from trainer.show.beginning import beginning

    with beginning("check", heading.of_start(config)[1]) as screen:
        from trainer.preflight import checking

    return checking.run(config, looks.chosen(config.check.only), screen, config.check.only, config.check.out)
