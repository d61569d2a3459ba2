"""`trainer config`: the config of a training as a file, with what each key means."""

from dataclasses import dataclass
from typing import Any

from trainer.config.train import Train

SUMMARY = "the config of a training as a file, for trainer train --config FILE"
EXAMPLES = """
trainer config model=mlp optim.lr=0.01 > my.yaml
trainer train --config my.yaml                   the same training
trainer train --config my.yaml seed=1            what is typed goes before the file
"""


@dataclass
class Config(Train):
    """`trainer config`: it takes the keys of `trainer train`, and trains nothing."""


def run(config: Config) -> dict[str, Any]:
    """Print what was composed, with a comment on each key.

    Returns:
        The config as plain values, with `${...}` as it is written.
    """
    from trainer.config import commented
    from trainer.system.paths import quoted

    composed = config.composed()
    command = " ".join(["trainer train", *map(quoted, config.typed)])
    chosen = {group: str(section.get("name")) for group, section in composed.items() if isinstance(section, dict)}
    print(f"# What `{command}` trains: trainer train --config FILE.yaml\n{commented.text(composed, chosen)}", end="")
    return composed
