"""What a checkpoint says of its model and data: written down, and taken up where the command line does not choose."""

from typing import Any

from trainer.checkpoint.description import scalars
from trainer.checkpoint.format import Checkpoint
from trainer.config import own, registry
from trainer.config.base import Config
from trainer.system.errors import CheckpointError
from trainer.system.paths import quoted


def describe(config: Config, loss: str, data: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its model and data: registry names and scalars, nothing to be run.

    `data` are the facts of `trainer.data.described`.
    """
    return {
        "model": scalars(config.describe("model")),
        "data": scalars(config.describe("data")),
        "choices": {group: config.title(group) for group in registry.OF_A_TRAINING},
        "loss": loss,
        **({"own": {name: scalars(part) for name, part in parts.items()}} if (parts := config.describe_own()) else {}),
        **data,
    }


def adopt(
    config: Config, found: Checkpoint, other_data: bool = False, groups: tuple[str, ...] = ("model", "data")
) -> None:
    """Complete `config` from a checkpoint's description, where the command line did not choose.

    With `other_data` the model takes its shapes from the data as they are now, not from the description.

    A class of the user's is never taken from the file: a config in their own `./configs` names it, or they type that.

    Raises:
        CheckpointError: the description is not enough, or names what only the user can.
    """
    for group in groups:
        described = found.description.get(group)
        if not isinstance(described, dict):
            if not config.given(group):
                raise CheckpointError(
                    f"{found.path} is a bare state_dict: it does not say its {group}",
                    f"give it: {group}=... ({', '.join(registry.names(group))})",
                )
            continue
        if "class" in described and not config.given(group) and not own.take(config, group, found.description):
            choice = found.description.get("choices", {}).get(group, "NAME")
            raise CheckpointError(
                f"{found.path} was trained with a {group} of somebody's own, {described['class']}, "
                "and a file names no code to run",
                f"if you trust it, name it yourself: {quoted(f'{group}={choice}')} (configs/{group}/{choice}.yaml)",
            )
        config.adopt(group, described, found.path, other_data)
