"""What an experiment found: figures to show, and where its goal was missed."""

from dataclasses import dataclass, field
from pathlib import Path

import resuming

from trainer import checkpoint
from trainer.system.errors import TrainerError


@dataclass
class Figures:
    """Of one experiment; it has reached its goal if there are no `misses`."""

    counts: dict[str, float] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, name: str, number: float = 1) -> None:
        """Count."""
        self.counts[name] = self.counts.get(name, 0) + number

    def expect(self, holds: object, miss: str) -> None:
        """Note a miss unless it `holds`."""
        if not holds:
            self.misses.append(miss)

    def expect_equal(self, undisturbed: Path, run: Path, what: str) -> None:
        """Two run directories are equal to the bit, and nothing half written lies about."""
        self.add("runs compared")
        different = resuming.differences(undisturbed, run)
        self.add("runs not bit-equal", bool(different))
        self.expect(not different, f"{what}: {'; '.join(different[:3])}")
        self.expect_tidy(run, what)

    def expect_tidy(self, run: Path, what: str) -> None:
        """Nothing half written lies about in a run directory."""
        strays = [path.name for path in run.rglob("*.part")]
        self.add("stray files", len(strays))
        self.expect(not strays, f"{what}: left {', '.join(strays)}")


def readable(path: Path) -> bool:
    """Whether it is a checkpoint that can be gone on from."""
    try:
        return not checkpoint.read(path).broken
    except TrainerError:
        return False


def the_run(output: Path) -> Path | None:
    """The one run directory below `output=`, if it is there yet."""
    found = list(output.glob("*/*"))
    assert len(found) <= 1
    return found[0] if found else None
