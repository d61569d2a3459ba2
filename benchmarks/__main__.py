"""The command: choose workloads, measure them, show them, write them down."""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import machine, page, records, tables
from benchmarks.guard import Guard
from benchmarks.records import Record
from benchmarks.rounds import Bench, ContenderError
from benchmarks.workloads import PEERS, WORKLOADS, Settings, Workload

RESULTS = Path(__file__).parent / "results.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = _parser()
    asked = parser.parse_args(argv)
    console = Console(highlight=False)
    if asked.list:
        for workload in WORKLOADS.values():
            console.print(f"{workload.name:<14}{workload.summary}", soft_wrap=True)
        return 0
    if asked.render is not None:
        for path in asked.render:
            if not path.exists():
                parser.error(f"{path}: no such file")
        _write(asked.results, [record for path in asked.render for record in records.load(path)])
        return 0
    if asked.write and asked.limit is not None:
        parser.error("--limit is for trials: its figures are not written")
    try:
        chosen = _chosen(asked.workloads)
        only = _only(asked.only)
    except ValueError as error:
        parser.error(str(error))
    settings = Settings(asked.data.absolute(), asked.device, asked.epochs, limit=asked.limit)
    failed = False
    found: dict[str, Record] = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        bench = Bench(
            settings, Guard(asked.tolerance), only, Path(scratch), lambda text: console.print(text, style="dim")
        )
        for workload in chosen:
            reason = _unfit(workload, settings)
            if reason:
                console.print(f"{workload.name} is left out: {reason}")
                continue
            try:
                measured = bench.measure(workload, asked.rounds, asked.repeats)
            except ContenderError as error:
                console.print(f"{workload.name} is given up: {error}", soft_wrap=True, markup=False)
                failed = True
                continue
            failed |= not measured.rounds
            date = datetime.date.today().isoformat()
            found[workload.name] = Record(
                workload.name, settings.device, date, machine.describe(settings.device), measured
            )
            if measured.rounds:
                console.print(tables.results(workload, measured).rich())
            for note in tables.notes(measured):
                console.print(note, markup=False)
            if asked.write and measured.rounds:
                _write(asked.results, [found[workload.name]])
    if settings.device == "cpu":
        table = tables.goals({name: record.measured.rounds for name, record in found.items()})
        if table.rows:
            console.print(table.rich())
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="trainer beside its peers, on the same work, in separate processes"
    )
    add = parser.add_argument
    add("workloads", nargs="*", metavar="WORKLOAD", help="which of --list, or `batch` for its four; all by default")
    add("--list", action="store_true", help="the workloads, and nothing else")
    add("--rounds", type=int, default=5, help="undisturbed rounds of each workload (5)")
    add("--only", metavar="PEER,...", default="", help=f"beside trainer only these: {', '.join(PEERS)}")
    add("--device", default="cpu", help="cpu (the default) or cuda")
    add(
        "--data",
        type=Path,
        default=Path(os.environ.get("TRAINER_DATA", "data")),
        metavar="DIR",
        help="the folder with MNIST and cifar10-images ($TRAINER_DATA, or data)",
    )
    add("--epochs", type=int, default=3, help="epochs of a process whose epochs are timed, the first for warm-up (3)")
    add("--limit", type=int, help="only so many samples or steps: for trials")
    add("--tolerance", type=float, default=0.05, help="share of one core that others may use (0.05)")
    add("--repeats", type=int, default=10, help="disturbed rounds of a workload before giving up (10)")
    add("--write", action="store_true", help="keep the figures in --results, and write RESULTS.md beside it")
    add("--results", type=Path, default=RESULTS, metavar="FILE", help="raw results (benchmarks/results.json)")
    add(
        "--render",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="measure nothing: take in other machines' raw results, and write RESULTS.md again",
    )
    return parser


def _chosen(names: Sequence[str]) -> list[Workload]:
    """The workloads of these names and groups, in our order.

    Raises:
        ValueError: there is none of that name.
    """
    known = {*WORKLOADS, *(workload.group for workload in WORKLOADS.values())}
    for name in names:
        if name not in known:
            raise ValueError(f"'{name}' is not a workload: see --list")
    return [w for w in WORKLOADS.values() if not names or w.name in names or w.group in names]


def _only(text: str) -> list[str]:
    """The peers of `--only`.

    Raises:
        ValueError: there is none of that name.
    """
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in PEERS:
            raise ValueError(f"'{name}' is not a peer: {', '.join(PEERS)}")
    return names


def _unfit(workload: Workload, settings: Settings) -> str:
    """Why the workload cannot be measured here, or nothing."""
    if settings.device.split(":")[0] not in workload.devices:
        return f"it is for {' and '.join(workload.devices)}"
    if workload.images is not None and not (settings.data / workload.images).is_dir():
        return f"{settings.data} has no {workload.images}: see benchmarks/README.md"
    return ""


def _write(path: Path, new: Sequence[Record]) -> None:
    kept = records.merged(records.load(path), new)
    records.save(path, kept)
    (path.parent / "RESULTS.md").write_text(page.page(kept), encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
