"""`python -m tests.soak [NAME ...] [--count N]`: the full counts, and a table of what was found."""

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path

from processes import SERVER

from .figures import Figures

NAMES = (
    *("kills", "faults", "full", "order", "stops", "storms", "swept", "once", "endurance", "lost"),
    *("caches", "strangers", "fuzz", "states", "tables", "queued"),
)


def main() -> int:
    """Run what was asked for; 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--count", type=int, help="how many kills, faults, ... instead of the full number")
    parser.add_argument("--keep", type=Path, help="a folder to work in, which stays")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    found: dict[str, tuple[Figures, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        for name in asked.names or NAMES:
            experiment = importlib.import_module(f".{name}", __package__)
            count = asked.count or experiment.COUNT
            print(f"{name}: {(experiment.run.__doc__ or '').strip()}  (count {count:,})", flush=True)
            started = time.perf_counter()
            figures = experiment.run(count, (folder / name).resolve(), lambda text: print(f"    {text}", flush=True))
            found[name] = figures, time.perf_counter() - started
        SERVER.close()
    _table(found)
    return int(any(figures.misses for figures, _ in found.values()))


def _table(found: dict[str, tuple[Figures, float]]) -> None:
    print()
    for name, (figures, seconds) in found.items():
        verdict = f"skipped: {figures.skipped}" if figures.skipped else "MISSED" if figures.misses else "reached"
        print(f"{name:<12} {verdict}, {seconds:.0f} s")
        for what, number in figures.counts.items():
            print(f"    {number:>12,.6g}  {what}")
        for miss in figures.misses[:20]:
            print(f"    missed: {miss}")


if __name__ == "__main__":
    sys.exit(main())
