"""RESULTS.md, written from the raw results."""

from collections.abc import Sequence

from benchmarks import tables
from benchmarks.records import Record
from benchmarks.workloads import WORKLOADS

HEAD = """# Results

Medians of the rounds, and from the least to the most; a ratio is taken within each round before the median, so below
1 `trainer` is the faster or the smaller one. [README.md](README.md) says what is measured and how to measure it again.
`python -m benchmarks --write` wrote this page from `results.json`.
"""


def page(records: Sequence[Record]) -> str:
    """The whole page: a part for each kind of device."""
    devices = dict.fromkeys(record.device for record in records)
    parts = (_device(device, [record for record in records if record.device == device]) for device in devices)
    return "\n".join((HEAD, *parts))


def _device(device: str, records: Sequence[Record]) -> str:
    lines = [f"## On {'a GPU' if device.startswith('cuda') else 'the CPU'}", ""]
    machines: dict[str, list[Record]] = {}
    for record in records:
        said = ", ".join(f"{name} {value}" for name, value in record.machine.items())
        machines.setdefault(said, []).append(record)
    for said, measured in machines.items():
        dates = sorted({record.date for record in measured})
        which = "" if len(machines) == 1 else f" ({', '.join(record.workload for record in measured)})"
        lines += [f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}{which}: {said}.", ""]
    if device == "cpu":
        table = tables.goals({record.workload: record.measured.rounds for record in records})
        if table.rows:
            lines += ["### Goals", "", table.markdown(), ""]
    order = list(WORKLOADS)
    for record in sorted(records, key=lambda record: order.index(record.workload)):
        workload = WORKLOADS[record.workload]
        lines += [f"### {workload.name}", "", f"{workload.summary[0].upper()}{workload.summary[1:]}.", ""]
        if record.measured.rounds:
            lines += [tables.results(workload, record.measured).markdown(), ""]
        lines += [" ".join(tables.notes(record.measured)), ""]
    return "\n".join(lines)
