"""A command on as many ranks as its config says, or on those that torchrun or srun has started."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.run.ranks import launcher, number
from trainer.run.ranks.ended import by_error
from trainer.run.ranks.rank import Task, seated
from trainer.show.report import Report
from trainer.system import seats
from trainer.system.errors import ConfigError, LostRankError, TrainerError


def run(
    task: Task,
    heading: tuple[str, str],
    screen: Report | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Any:
    """Do a task on all its ranks; what rank 0 has come to. A single one does it in this process.

    `meanwhile` is called now and then where others do it.

    Raises:
        UserError: There are not so many devices.
        TrainerError: A rank has failed, or was lost; all have ended.
    """
    seat = seats.taken()
    if seat is not None:
        return _placed(task, seat)
    size, gpus, said = number.chosen(task.config, task.batch)
    screen = screen or Report()
    screen.heading(*heading)
    if said:
        screen.say(f"  {said}")
    task.config.change("devices", size)
    if size > 1:
        return launcher.launched(task, size, gpus, heading, [said] if said else [], screen, meanwhile)
    from trainer.engine.ranks import ALONE
    from trainer.system.torch_first import import_torch

    with screen.doing("starting torch"):
        import_torch()
    return task.lead(ALONE, screen, lambda _: None)


def _placed(task: Task, seat: seats.Seat) -> Any:
    """Do the share of this process among those that torchrun or srun has started.

    Raises:
        ConfigError: Another number of devices was typed.
    """
    asked = task.config.devices
    if asked not in ("auto", seat.size) and "devices" in task.config.typed_keys:
        raise ConfigError(f"devices={asked}: {seat.size} processes were started", "leave devices= out")
    task.config.change("devices", seat.size)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if task.config.device in ("auto", "cuda"):
        given = visible.split(",") if visible else [str(number) for number in range(seat.local + 1)]
        os.environ["CUDA_VISIBLE_DEVICES"] = given[seat.local % len(given)]  # srun may give each task its own alone
    if seat.rank:
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 -- until the process ends
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    try:
        return seated(task, seat)
    except LostRankError:
        if seat.rank:
            sys.exit(1)  # whoever has failed says why
        raise
    except TrainerError as error:
        error.message = by_error(error).by(seat.rank)
        raise
