"""How far a training is: taken for a checkpoint, and put back by `trainer resume` as if nothing had happened."""

from typing import Any

from trainer.checkpoint import Checkpoint
from trainer.engine.loop import State
from trainer.run.parts import Parts
from trainer.system.errors import CheckpointError

# What says how an optimizer computes, not where it stands: that of this machine, not of the checkpoint's.
_KINDS = ("fused", "foreach", "capturable", "differentiable")


def taken(parts: Parts, state: State) -> dict[str, Any]:
    """What goes into a checkpoint beside the model and the counters of `state`."""
    return {
        "optimizer": parts.optimizer.state_dict(),
        "scheduler": parts.schedule.state_dict(),
        "rng": parts.random.state_dict(),
        "losses": state.losses[: state.batch],
        "compute": str(parts.compute),
    }


def put_back(parts: Parts, found: Checkpoint) -> None:
    """Optimizer, schedule, random generators and counters as they were; `parts` has the model's weights already.

    Raises:
        CheckpointError: it holds no training, that of another model, or is damaged.
    """
    kept = found.training
    if kept.get("losses") is None:
        raise CheckpointError(
            f"{found.path} does not hold what it takes to go on exactly: it was written by an older trainer",
            f"start a new run from its weights: trainer train from={found.path}",
        )
    try:
        _put_back_optimizer(parts, kept["optimizer"])
        parts.schedule.load_state_dict(kept["scheduler"])
        state = parts.state
        state.epoch, state.batch, state.step = int(kept["epoch"]), int(kept["batch"]), int(kept["step"])
        state.reported = int(kept["reported"])
        state.losses = kept["losses"].to(parts.compute.device)
        if not (0 <= state.reported <= state.batch == len(state.losses) <= len(parts.step_sizes)):
            raise ValueError("its counters contradict each other")
        parts.random.load_state_dict(kept["rng"])
    except Exception as error:  # torch's loaders raise nearly anything on values that are not theirs
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{found.path} cannot be gone on from: {reason}") from error


def _put_back_optimizer(parts: Parts, kept: dict[str, Any]) -> None:
    groups = []
    for group, own in zip(kept["param_groups"], parts.optimizer.param_groups, strict=True):
        if group.keys() - own.keys():
            raise ValueError("its optimizer is of another kind")
        kinds = {name: own[name] for name in _KINDS if name in own}
        groups.append({**own, **group, **kinds})
    parts.optimizer.load_state_dict({"state": kept["state"], "param_groups": groups})
