"""`python -m tests.recording OLD NEW [--data ROOT]`: run two checkouts, compare what they leave behind, to the bit."""

import argparse
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import inputs
from .cases import cases
from .commands import Case
from .comparison import Difference, Expected, changes, differences, leaves
from .side import Left, Side

# What a rebuilding changes on purpose; the next one begins with an empty table.
EXPECTED: tuple[Expected, ...] = ()


def main() -> int:
    """Compare what was asked for; 1 if anything differs that has to be equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.recording", description=__doc__)
    parser.add_argument("old", type=Path, help="a checkout, for example a `git worktree` of the commit before")
    parser.add_argument("new", type=Path, help="another")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="holds MNIST/raw and cifar10-images")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the cases that have this in their name")
    parser.add_argument("--words", action="store_true", help="screens and pictures have to be equal, too")
    asked = parser.parse_args()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that starts us in the background passes it on
        signal.signal(signal.SIGINT, signal.default_int_handler)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="recording-") as scratch:
        folder = Path(scratch).resolve()
        inputs.make(folder / "inputs")
        data = asked.data.resolve() if asked.data else None
        sides = [
            Side(checkout.resolve(), folder / name, folder / "inputs", data)
            for checkout, name in ((asked.old, "old"), (asked.new, "new"))
        ]
        with ThreadPoolExecutor(len(sides)) as pool:
            for group, members in cases().items():
                for case in members:
                    name = f"{group}: {case.name}"
                    if asked.only not in name:
                        continue
                    if case.needs_data and data is None:
                        report.skip(name, "needs --data ROOT")
                        continue
                    started = time.monotonic()
                    old, new = pool.map(lambda side, case=case: side.record(case), sides)
                    report.add(name, case, old, new, time.monotonic() - started)
    report.close()
    return int(report.differing or (asked.words and bool(report.words)))


class Report:
    """Prints a line for each case as it is compared, and at the end what is worded otherwise."""

    def __init__(self) -> None:
        self.differing = False
        self.words: dict[str, list[str]] = {}  # each change of words, and the places it was found in
        self._expected: dict[str, int] = {}
        self._kinds: dict[str, int] = {}  # what was compared, by the name of the file
        self._values = 0

    def skip(self, name: str, reason: str) -> None:
        """A case that is not compared."""
        print(f"{name:<44} skipped: {reason}", flush=True)

    def add(self, name: str, case: Case, old: list[Left], new: list[Left], seconds: float) -> None:
        """Compare what a case has left on both sides."""
        found: list[tuple[str, Difference]] = []
        worded = values = 0
        for command, before, after in zip(case.commands, old, new, strict=True):
            if before.bits["exit code"] != command.exits:  # what all fail at proves nothing
                found.append(
                    (command.typed, Difference("exit code as recorded", command.exits, before.bits["exit code"]))
                )
            values += leaves(before.bits)
            for item in before.bits:
                kind = item.rpartition("/")[2].rstrip(": ")
                self._kinds[kind] = self._kinds.get(kind, 0) + 1
            found += [(before.command, each) for each in self._unexpected(before, after)]
            worded += self._compare_words(f"{name}: trainer {before.command}", before.words, after.words)
        self._values += values
        self.differing |= bool(found)
        verdict = f"DIFFERENT in {len(found):,} places" if found else "equal"
        note = f", {worded} worded otherwise" if worded else ""
        codes = " ".join(str(each.bits["exit code"]) for each in old)
        print(f"{name:<44} {values:>9,} values, exit {codes}: {verdict}{note}  ({seconds:.0f} s)", flush=True)
        for command, difference in found[:3]:
            print(f"    after: trainer {command}\n        {difference}", flush=True)

    def close(self) -> None:
        """Print what was compared in all, what was expected, and the changes of words."""
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(self._kinds.items()))
        print(f"\nCompared to the bit: {self._values:,} values in {kinds}.")
        for reason, count in self._expected.items():
            print(f"Expected {count} times: {reason}")
        print(f"\nWords: {len(self.words)} changes" if self.words else "Words: all equal")
        for change, places in self.words.items():
            more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
            print(f"\n--- {places[0]}{more}\n{change}")
        print("\nDIFFERENT" if self.differing else "\nEqual to the bit")

    def _unexpected(self, before: Left, after: Left) -> list[Difference]:
        unexpected = []
        for difference in differences(before.bits, after.bits):
            reasons = [f"{each.key}: {each.reason}" for each in EXPECTED if each.covers(difference)]
            for reason in reasons:
                self._expected[reason] = self._expected.get(reason, 0) + 1
            if not reasons:
                unexpected.append(difference)
        return unexpected

    def _compare_words(self, place: str, old: dict[str, str], new: dict[str, str]) -> int:
        count = 0
        for item in {**old, **new}:
            for change in changes(old.get(item, ""), new.get(item, "")):
                self.words.setdefault(change, []).append(f"{place}, {item}")
                count += 1
        return count


if __name__ == "__main__":
    sys.exit(main())
