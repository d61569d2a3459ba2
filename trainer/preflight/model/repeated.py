"""Whether the seed decides: two models of one seed, and their first steps, are the same to the bit."""

from collections.abc import Iterator

import torch

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.preflight.trial import Trial, unless_failing
from trainer.system.errors import listed

ABOUT = "whether the seed decides"
LABEL = "seed"
STEPS = 2
SHOWN = 4


def look(subject: Subject) -> Iterator[Finding]:
    """Build the model twice, and take the first steps with both."""
    yield from unless_failing(LABEL, _look(subject))


def _look(subject: Subject) -> Iterator[Finding]:
    seed = f"seed={subject.settled.seed}"
    first = Trial(subject)
    begun = {name: value.clone() for name, value in first.model.state_dict().items()}
    for _ in range(STEPS):
        first.step()
    second = Trial(subject)
    if names := _others(begun, second.model.state_dict()):
        found = f"two models of {seed} begin with other weights, in {names}"
        advice = "draw them from torch's generator, without one of your own or one of the system"
        yield Finding(LABEL, found, advice, wrong=True)
        return
    for _ in range(STEPS):
        second.step()
    names = _others(first.model.state_dict(), second.model.state_dict())
    exact = subject.settled.deterministic or first.parts.compute.device.type == "cpu"
    if names and exact:
        found = f"{STEPS} steps of two models of {seed} end with other weights, in {names}"
        yield Finding(LABEL, found, "look in forward for what is drawn otherwise than by torch", wrong=True)
    elif names:
        found = f"{seed} decides on the weights; steps on this device are not the same to the bit"
        yield Finding(LABEL, found, "deterministic=true, if they are to be")
    else:
        yield Finding(LABEL, f"two models of {seed} are the same to the bit, also after {STEPS} steps")


def _others(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> str:
    names = [name for name, value in first.items() if not torch.equal(value, second[name])]
    return listed(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
