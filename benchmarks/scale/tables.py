"""The tables of the model, in Markdown: what N ranks should come to, and what was predicted and measured here."""

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.scale.constants import cases, device, gloo
from benchmarks.scale.model import Device, Input, Network, Work, epoch, step, strong, weak

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def everything(found: dict[str, Any]) -> str:
    """All tables, each below its title."""
    parts = [("Measured here", constants(found)), ("Predicted and measured", validation(found))]
    parts += [(title, efficiency(*case)) for title, *case in cases(found)]
    return "\n".join(f"**{title}**\n\n{table}" for title, table in parts)


def constants(found: dict[str, Any]) -> str:
    """What was measured."""
    rows = [
        (f"{name}, a step of {batch}, one thread", _time(seconds))
        for name, each in found["computing"].items()
        for batch, seconds in each["steps"].items()
    ]
    rows += [
        (f"gloo, sum of {_bytes(float(size))} over 2 ranks", _time(seconds)) for size, seconds in found["sum"].items()
    ]
    rows += [(f"reading from {what}", f"{_bytes(rate)}/s") for what, rate in found["reading"].items()]
    rows += [(f"{what}, one core", f"{rate:,.0f} images/s") for what, rate in found["decoding"].items()]
    rows += [(f"a checkpoint of {float(size):g} MB, on the disk", _time(s)) for size, s in found["saving"].items()]
    rows += [(what, _time(seconds)) for what, seconds in found["starting"].items()]
    return _table(("what", "value"), rows)


def validation(found: dict[str, Any]) -> str:
    """Steps of one and two ranks, by the model and as they were."""
    network, rows = gloo(found), []
    for each in found["validation"]:
        name, batch = each["name"], each["batch"]
        work = Work(name, 1, 1, batch, found["computing"][name]["gradients"], 0.0, 10)
        for ranks, seconds in each["seconds"].items():
            said = step(work, device(found, name), network, Input(1.0, 1.0), int(ranks), batch).whole
            rows.append((f"{name}, batch {batch}", ranks, _time(said), _time(seconds), f"{said / seconds - 1:+.0%}"))
    return _table(("step", "ranks", "predicted", "measured", "off by"), rows)


def efficiency(work: Work, device: Device, network: Network, source: Input) -> str:
    """Strong and weak scaling up to 1,024 ranks."""
    fixed, grown = f"batch {work.batch}", f"batch {work.batch} a rank"
    header = ("ranks", f"step, {fixed}", "bound by", "efficiency", f"step, {grown}", "bound by", "efficiency", "epoch")
    return _table(header, _scaled(work, device, network, source))


def _scaled(work: Work, device: Device, network: Network, source: Input) -> Iterator[tuple[str, ...]]:
    for ranks in RANKS:
        own = step(work, device, network, source, ranks, work.batch * ranks)
        grown = (_time(own.whole), own.bound, f"{weak(work, device, network, source, ranks):.0%}")
        took = _time(epoch(work, device, network, source, ranks, work.batch * ranks))
        if ranks > work.batch:
            yield f"{ranks:,}", "-", "no sample", "-", *grown, took
            continue
        fixed = step(work, device, network, source, ranks, work.batch)
        share = strong(work, device, network, source, ranks)
        yield f"{ranks:,}", _time(fixed.whole), fixed.bound, f"{share:.0%}", *grown, took


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} us"


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
