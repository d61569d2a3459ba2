"""Whether several processes end two steps with the weights of one: all of them alike, and as one alone."""

import copy
import sys
from collections.abc import Iterator, Mapping

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system import machine
from trainer.system.errors import listed
from trainer.system.shown import amount, counted

ABOUT = "whether several processes agree"
LABEL = "agreement"
STEPS = 2
SAME = 1e-9  # of the largest weight, in double precision: sums of another order differ by less
SHOWN = 4


def look(subject: Subject) -> Iterator[Finding]:
    """Take two steps on all ranks and compare them with each other, and with two steps in one process.

    They are computed in double precision, where nothing but an error makes a difference that can be seen. That takes
    some seconds, and is done where several devices are asked for, or this look is.
    """
    asked = not {"ranks", "agreement"}.isdisjoint(subject.named)
    if subject.config.devices == 1 and not asked:
        return
    from trainer.preflight.rank_steps import Steps
    from trainer.run.ranks import launcher, number

    config = copy.deepcopy(subject.config)
    size = subject.config.samples.batch_size or sys.maxsize
    kind = subject.first.compute.device.type
    if config.devices == 1:
        config.change("devices", 2)
        kind = "cuda" if kind == "cuda" and len(machine.gpus()) > 1 else "cpu"
    config.change("device", kind)
    ranks, gpus, _ = number.chosen(config, size)
    if ranks == 1:
        yield Finding(LABEL, "devices=auto takes one process")
        return
    config.change("devices", ranks)
    config.change("compile", "off")
    config.change("precision", "float64")
    task = Steps(config, STEPS, size)
    found = launcher.launched(task, ranks, gpus, ("check", ""), [], subject.quiet)
    yield judged(ranks, found)


def judged(ranks: int, found: Mapping[str, Mapping[str, float]]) -> Finding:
    """What the differences say: `apart` of the ranks among themselves, and `alone` of rank 0 from one process.

    Both have the name of each weight that differs, and by how much of the largest of its values.
    """
    apart, alone = ({name: by for name, by in found[key].items() if not by <= SAME} for key in ("apart", "alone"))
    steps = counted(STEPS, "step")
    if apart:
        said = f"after {steps} the {ranks} ranks have other weights than each other: {_worst(apart)}"
        advice = "look for what the model, or the optimizer, draws or reads otherwise in each process"
        return Finding(LABEL, said, advice, wrong=True)
    if alone:
        said = f"after {steps} {ranks} ranks agree, but not with one process: {_worst(alone)}"
        advice = "look in model and loss for what depends on the other samples of a batch, or draws; devices=1 is right"
        return Finding(LABEL, said, advice, wrong=True)
    return Finding(LABEL, f"after {steps} the weights of {ranks} ranks are those of one process")


def _worst(off: Mapping[str, float]) -> str:
    names = sorted(off, key=lambda name: off[name], reverse=True)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{listed(names[:SHOWN])}{more} by up to {amount(max(off.values()))} of the largest value"
