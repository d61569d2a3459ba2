"""What a profile says, on the screen and in profile.json."""

import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from trainer.profiling import clock as parts_of
from trainer.profiling.candidates import Seen
from trainer.profiling.kernels import Operator
from trainer.profiling.session import Measured
from trainer.profiling.trying import Tried
from trainer.run import summary
from trainer.show.report import Report
from trainer.show.values import duration
from trainer.system.shown import counted, shortened

CALLED = {
    parts_of.DATA: "data",
    parts_of.FORWARD: "forward, loss",
    parts_of.BACKWARD: "backward",
    parts_of.OPTIMIZER: "optimizer",
    parts_of.STEP: "step, captured",
    parts_of.EVALUATION: "evaluation",
    parts_of.HOOKS: "logging, checkpoints",
    parts_of.REST: "the loop, unexplained",
}
LEAST = 0.002  # of the epoch: smaller parts of parts are not shown
UNQUIET = 1.25  # times as long as the shortest took the longest plain epoch, where the machine is not quiet
SHORT = 0.1  # seconds: what is shorter is shown in milliseconds
NAME = 40  # letters of an operator: those of kernels have hundreds
OPERATORS = 8  # that are shown
SHAPES = 44  # letters of an operator's shapes

Line = tuple[str, float, bool]  # what a part is called, its seconds, and whether it is a part of the one before it


def lines(measured: Measured) -> list[Line]:
    """The parts of the epoch in the order in which they come, each followed by what it consists of."""
    found: list[Line] = []
    for kind, called in CALLED.items():
        seconds = measured.of(kind)
        if not seconds:
            continue
        found.append((called, seconds, False))
        within = {part: s for part, s in measured.parts.items() if part.startswith(f"{kind}/")}
        shown = {part: s for part, s in within.items() if s >= LEAST * measured.seconds}
        if len(within) > 1:
            order = sorted(shown, key=lambda part: -shown[part])
            found += [(part.partition("/")[2], shown[part], True) for part in order]
    return found


def epoch(screen: Report, measured: Measured, samples: int) -> None:
    """The table of the epoch."""
    rows, evaluating = [], False
    for called, seconds, within in lines(measured):
        evaluating = called == CALLED[parts_of.EVALUATION] or (within and evaluating)
        per_step = "" if evaluating else f"{1000 * seconds / measured.steps:.3f}"
        rows.append((f"{'  ' * within}{called}", *_figures(seconds, measured.seconds), per_step))
    whole = 1000 * (measured.seconds - measured.of(parts_of.EVALUATION)) / measured.steps
    rows.append(("the whole epoch", *_figures(measured.seconds, measured.seconds), f"{whole:.3f}"))
    title = f"where an epoch's time goes: {_counted(measured, samples)}"
    unit = "seconds" if measured.seconds >= SHORT else "ms"
    screen.table(("", unit, "share", "ms per step"), rows, title)


def _counted(measured: Measured, samples: int) -> str:
    steps = counted(measured.steps, "step")
    if measured.steps < measured.of_steps:
        steps = f"{measured.steps:,} of {counted(measured.of_steps, 'step')}"
    said = f"{steps} of {counted(samples, 'sample')}"
    if measured.of_evaluated:
        of = f" of {measured.of_evaluated:,}" if measured.evaluated < measured.of_evaluated else ""
        said += f", and {measured.evaluated:,}{of} evaluated"
    return said


def _figures(seconds: float, whole: float) -> tuple[str, str]:
    return f"{seconds if whole >= SHORT else 1000 * seconds:.3f}", f"{seconds / whole:.1%}"


def _long(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= SHORT else f"{1000 * seconds:.3g} ms"


def overhead(measured: Measured) -> float:
    """What watching adds to an epoch, as a share of a plain one; less than nothing where the machine varies by more."""
    return median(measured.watched) / median(measured.plain) - 1


def beside(screen: Report, seen: Seen) -> None:
    """What is to be known beside the table of the epoch."""
    measured, plan = seen.measured, seen.parts.plan
    plain, watched = median(measured.plain), median(measured.watched)
    of = f"medians of {len(measured.watched)} and {len(measured.plain)} epochs by turns"
    facts = [
        ("measuring", f"{overhead(measured):+.1%}: {_long(watched)} watched, {_long(plain)} not, {of}"),
        (
            "checkpoint",
            f"{_long(measured.checkpoint)} each, with the wait for the disk, in a thread beside the training",
        ),
    ]
    if max(measured.plain) > max(UNQUIET * min(measured.plain), SHORT):
        spread = f"plain epochs took {_long(min(measured.plain))} to {_long(max(measured.plain))}"
        facts.append(("note", f"{spread}: other programs had the cores; profile again when they rest"))
    begin, closing = sum(seconds for _, seconds in measured.start), summary.closing_seconds(seen.parts, seen.step)
    epochs = min(plan.epochs, (plan.max_steps or sys.maxsize) / measured.of_steps)
    training = epochs * (measured.whole - measured.evaluation + measured.evaluation / plan.evaluate_epochs)
    said = f"about {duration(begin + training + closing)}: {duration(begin)} to begin, {duration(training)} of "
    said += f"{epochs:,.4g} epoch{'s' * (epochs != 1)}, {duration(closing)} for the test and its pictures"
    facts.append(("all of it", said))
    if seen.idle is not None and seen.kernels.busy is not None:
        busy = f"kernels and copies take {1000 * seen.kernels.busy:.3f} ms of a step"
        facts.append(("GPU idle", f"{seen.idle:.0%} of a plain step: {busy}"))
    if seen.eager:
        whole = sum(seen.eager.values())
        each = ", ".join(f"{CALLED[p]} {seen.eager[p] / whole:.0%}" for p in CALLED if seen.eager.get(p))
        facts.append(("uncaptured", f"{1000 * whole:.3f} ms a step without the graph, each part waited for: {each}"))
    screen.facts("", facts)


def start(screen: Report, measured: Measured) -> None:
    """The table of what comes before the training."""
    rows = [(called, f"{seconds:.3f}") for called, seconds in measured.start]
    rows.append(("the whole start", f"{sum(seconds for _, seconds in measured.start):.3f}"))
    screen.table(("", "seconds"), rows, "before the second step")


def operators(screen: Report, seen: Seen) -> None:
    """The table of the operators that take longest."""
    kernels = seen.kernels
    rows = [
        (
            shortened(operator.name, NAME),
            f"{operator.calls:.3g}",
            f"{1000 * operator.seconds:.3f}",
            f"{operator.seconds / kernels.seconds:.1%}",
            _rate(operator),
            shortened(operator.shapes, SHAPES),
        )
        for operator in kernels.operators[:OPERATORS]
    ]
    title = f"operators that take longest, by torch's profiler in {counted(kernels.steps, 'step')}"
    screen.table(("", "calls a step", "ms a step", "share", "GFLOP/s", "longest call"), rows, title)


def _rate(operator: Operator) -> str:
    if not operator.flops or not operator.seconds:
        return ""
    return f"{operator.flops / operator.seconds / 1e9:.3g}"


def suggestion(screen: Report, tried: Sequence[Tried], measured: Measured, command: str) -> None:
    """What was tried, and what to type if it is faster."""
    if not tried:
        screen.say("suggestion: nothing that was seen asks for a change", style="bold")
        return
    last = tried[-1]
    if in_vain := [(one.candidate.words, said(one)) for one in tried if not one.gains]:
        screen.facts("tried, no sure gain", in_vain)
    if not last.gains:
        screen.say("suggestion: none; what was tried is not surely faster here", style="bold")
        return
    facts = [
        ("seen", last.candidate.why),
        ("tried", said(last)),
        ("an epoch", f"{_long(last.epoch)} in the place of {_long(measured.whole)}"),
        ("the result", last.candidate.effect),
    ]
    screen.panel(f"suggestion: {last.candidate.words}", facts)
    screen.commands([last.candidate.typed(command)])


def said(tried: Tried) -> str:
    """What came of a candidate in a line."""
    if tried.failed:
        return tried.failed
    spread = f"{min(tried.ratios):.2f} to {max(tried.ratios):.2f} in {len(tried.ratios)} rounds, by turns"
    spread = spread if len(tried.ratios) > 1 else "after one round nothing more was tried"
    if tried.candidate.rarer is not None:
        return f"an epoch takes {1 / tried.times:.2f} of its time, by {counted(len(tried.ratios), 'evaluation')} more"
    return f"{tried.times:.2f} times the samples per second ({spread})"


def as_json(seen: Seen, tried: Sequence[Tried], name: str, command: str) -> dict[str, Any]:
    """The content of profile.json; times are in seconds."""
    measured, kernels = seen.measured, seen.kernels
    return {
        "kind": "profile",
        "name": name,
        "command": command,
        "environment": summary.environment(seen.parts.compute),
        "batch_size": seen.parts.train.batch_size * seen.parts.plan.accumulate,
        "steps": measured.steps,
        "steps_of_an_epoch": measured.of_steps,
        "evaluated": measured.evaluated,
        "seconds": measured.seconds,
        "watched_epochs": measured.watched,
        "parts": dict(sorted(measured.parts.items())),
        "plain_epochs": measured.plain,
        "overhead": overhead(measured),
        "epoch": measured.whole,
        "checkpoint": measured.checkpoint,
        "start": dict(measured.start),
        "operators": [vars(operator) for operator in kernels.operators],
        "gpu_busy_in_a_step": kernels.busy,
        "gpu_idle": seen.idle,
        "step_without_graph": seen.eager,
        "tried": [
            {
                "change": one.candidate.words,
                "why": one.candidate.why,
                "effect": one.candidate.effect,
                "times_as_fast": one.ratios,
                "epoch": one.epoch,
                "failed": one.failed,
                "gains": one.gains,
                "command": one.candidate.typed(command),
            }
            for one in tried
        ],
    }
