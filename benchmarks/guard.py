"""Whether other processes took CPU while one of ours was measured."""

import os
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
GRAIN = 0.05  # seconds: the kernel counts in ticks of 10 ms, on each core and for each kind of work


def busy(stat: Path = STAT) -> float | None:
    """CPU seconds that this machine's cores have been kept from idling since it started; None where nobody counts.

    Stolen seconds, which a hypervisor gave to another machine, are among them: they disturb as much.
    """
    try:
        words = stat.read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Guard:
    """Refuses a measurement during which others used more than `tolerance` of one core."""

    tolerance: float = 0.05

    def objection(self, wall: float, others: float | None) -> str:
        """Why a process of `wall` seconds is no measurement, `others` having used so many CPU seconds; or nothing."""
        if others is None or others <= self.tolerance * wall + GRAIN:
            return ""
        return f"others used {others:.2f} s of CPU in {wall:.2f} s"
