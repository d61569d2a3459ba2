"""`python -m tests.soak.directories [PATTERN ...]`: the hostile directories whose names match, one by one.

With `--kind FILE` changed files of the kinds with that in their names, from number `--first` on. Shows what a command
said that did what it should not have; with `--all` what the others said, too.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from processes import SERVER

from . import bases
from .arena import Arena, Outcome
from .cases import CASES
from .kinds import kinds
from .making import Case


def main() -> int:
    """Run them; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.directories", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PATTERN")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of every N")
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--all", action="store_true", help="show those that did no harm as well")
    parser.add_argument("--keep", type=Path, help="a folder to work in, which stays")
    asked = parser.parse_args()
    ran: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (asked.keep or Path(scratch)).absolute()
        made = bases.made(folder / "bases")
        SERVER.close()
        arena = Arena(folder / "arena", made)
        try:
            for name, case in _chosen(asked, made):
                ran["cases"] += 1
                for words in case.commands:
                    done = arena.run(case.base, case.make, *words)
                    ran["commands"] += 1
                    ran["seconds of CPU"] += round(done.seconds, 3)  # type: ignore[assignment]
                    if done.faults or asked.all:
                        ran["with faults"] += bool(done.faults)
                        _show(name, words, done)
        finally:
            arena.close()
    print(", ".join(f"{what}: {number:,}" for what, number in ran.items()))
    return int(bool(ran["with faults"]))


def _chosen(asked: argparse.Namespace, made: dict[str, bases.Tree]) -> Iterator[tuple[str, Case]]:
    if not asked.kind:
        patterns = asked.parts or [""]
        matching = [name for name in CASES if any(re.search(pattern, name) for pattern in patterns)]
        yield from ((name, CASES[name]) for name in matching[:: asked.every])
    for name, kind in kinds(made).items():
        if any(re.search(part, name) for part in asked.kind):
            for number in range(asked.first, asked.first + asked.count):
                yield f"{name}, {number}", kind.case(number, name)


def _show(name: str, words: tuple[str, ...], done: Outcome) -> None:
    print(f"{name} | {' '.join(words)} | {done.code} | {done.seconds:.2f} s | {'; '.join(done.faults)}")
    print("\n".join(f"      {line[:300]}" for line in done.err.splitlines()[-8:]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
