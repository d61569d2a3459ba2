"""The processes of a command on several ranks, found from outside, as an operator finds them."""

from pathlib import Path

from processes import Running, until


def _started(pid: int) -> tuple[int, int] | None:
    """The parent of a process, and when it was started; None: it is gone, and at most its end is not noticed yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def below(pid: int) -> list[int]:
    """All processes that a process has started, and those have, in the order of their start."""
    parents = {int(entry.name): found for entry in Path("/proc").glob("[0-9]*") if (found := _started(int(entry.name)))}
    known = {pid}
    while more := {child for child, (parent, _) in parents.items() if parent in known} - known:
        known |= more
    return sorted(known - {pid}, key=lambda child: (parents[child][1], child))


def forked_for(pid: int) -> list[int]:
    """The processes of ranks that are there: those that a server has forked which the command has started."""
    servers = [child for child in below(pid) if (_started(child) or (0,))[0] == pid]
    return [child for child in below(pid) if (_started(child) or (0,))[0] in servers]


def ranks(running: Running, size: int) -> list[int]:
    """The processes of the ranks, in their order, once they are there."""
    found: list[int] = []

    def there() -> bool:
        found[:] = forked_for(running.pid)[:size]
        return len(found) == size

    running.until(there)
    return found


def all_gone(pids: list[int], limit: float = 30) -> bool:
    """Whether they end in time."""
    return until(lambda: all(_started(pid) is None for pid in pids), limit, pause=0.02)


def is_stopped(pid: int) -> bool:
    """Whether a process has been stopped, and may be told to go on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
