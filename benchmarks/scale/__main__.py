"""The command: print the tables of the cost model, or measure this machine's constants for it first."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale import constants, tables

RATES = ("reading", "decoding")
VALIDATED = (("mnist_lenet", 64), ("mnist_lenet", 512), ("cifar_resnet18", 16))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--measure", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; without a name, all")
    asked = parser.parse_args(argv)
    if asked.measure is not None:
        if unknown := set(asked.measure) - set(PARTS):
            parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
        measure(asked.measure or list(PARTS))
    print(tables.everything(constants.measured()), end="")
    return 0


def measure(parts: Sequence[str]) -> None:
    """Measure what was asked for. Of a time that was measured before the shorter is kept, and of a rate the higher."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in ranks
    found = constants.measured() if constants.FILE.exists() else {}
    for name in parts:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found[name] = better(found.get(name), json.loads(json.dumps(PARTS[name]())), max if name in RATES else min)
        constants.FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def better(before: Any, now: Any, choose: Callable[[float, float], float]) -> Any:
    """The better of two measurements, figure by figure: others may have been at work on the machine."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {key: better(before.get(key), value, choose) for key, value in now.items()}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [better(old, new, choose) for old, new in zip(before, now, strict=True)]
    return choose(before, now) if isinstance(now, int | float) and isinstance(before, int | float) else now


def _computing() -> Any:
    from benchmarks.scale.measure import MODELS, computing

    return {name: computing(name) for name in MODELS}


def _sum() -> Any:
    from benchmarks.scale.ranks import reduced

    return reduced()


def _reading() -> Any:
    from benchmarks.scale.measure import reading

    with tempfile.TemporaryDirectory() as folder:
        return reading(Path(folder))


def _decoding() -> Any:
    from benchmarks.scale.measure import decoding

    return decoding()


def _saving() -> Any:
    from benchmarks.scale.measure import saving

    with tempfile.TemporaryDirectory() as folder:
        return saving(Path(folder))


def _starting() -> Any:
    from benchmarks.scale.measure import starting

    return starting()


def _validation() -> Any:
    from benchmarks.scale.ranks import stepped

    return [{"name": name, "batch": batch, "seconds": stepped(name, batch)} for name, batch in VALIDATED]


PARTS: dict[str, Callable[[], Any]] = {
    "computing": _computing,
    "sum": _sum,
    "reading": _reading,
    "decoding": _decoding,
    "saving": _saving,
    "starting": _starting,
    "validation": _validation,
}

if __name__ == "__main__":
    sys.exit(main())
