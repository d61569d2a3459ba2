"""Each job in the way that is fastest: small models as one program, the others side by side."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from trainer.config.sweep import Batched, Parallel, Serial
from trainer.sweeps import runner
from trainer.sweeps.grouping import grouped, stays_alone
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.system.machine import gpus

SMALL = 128  # hidden units up to which a CPU spends more time in Python than on the matrices of one model


class Auto:
    """Batches what it can on a GPU, and linear models and small perceptrons on a CPU; convolutions are not faster."""

    def __init__(self, settings: Any, monitor: Monitor, done: runner.Done) -> None:
        self.monitor, self.done = monitor, done
        self.batched = Batched(jobs=settings.jobs or Batched().jobs)
        self.parallel = Parallel(jobs=settings.jobs)
        self.said: set[str] = set()  # why jobs are not one program

    def run(self, jobs: Iterator[Planned]) -> None:
        while taken := list(islice(jobs, self.batched.jobs)):
            rest = []
            for group in grouped(taken):
                if (len(group) > 1 or group[0].together) and pays(group[0]):
                    self._run(self.batched, group)
                else:
                    self._say_why(group)
                    rest += group
            self._run(self.parallel if len(rest) > 1 else Serial(), rest)

    def _say_why(self, group: Sequence[Planned]) -> None:
        """Say once which part of the user's own keeps jobs apart that would else be one program."""
        config = group[0].asked.config
        part = stays_alone(config) if config is not None and len(group) > 1 else ""
        if part and part not in self.said:
            self.said.add(part)
            self.monitor.screen.say(f"jobs run side by side: {part} is your own, which is made for one model")

    def _run(self, settings: Any, jobs: Sequence[Planned]) -> None:
        runner.make(settings, self.monitor, self.done).run(iter(jobs))


def pays(job: Planned) -> bool:
    """Whether a job and others like it are faster as one program than side by side."""
    config = job.asked.config
    assert config is not None
    streams = config.written("data").get("placement") in ("stream", "windows")
    if config.devices != 1 or stays_alone(config) or config.on_nan == "skip" or config.compile == "inductor" or streams:
        return False  # such jobs cannot be batched, and would run one after the other
    if config.device.startswith("cuda") or (config.device == "auto" and gpus()):
        return True
    model = config.written("model")
    hidden = model.get("hidden")
    widths = hidden if isinstance(hidden, list) else [hidden]
    narrow = all(isinstance(width, int) and width <= SMALL for width in widths)
    return model.get("name") == "linear" or (model.get("name") == "mlp" and narrow)
