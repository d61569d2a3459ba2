"""Raw results in a JSON file: one record per device and workload, so that tables can be drawn again."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.rounds import Measured


@dataclass
class Record:
    """A workload measured on a machine."""

    workload: str
    device: str
    date: str
    machine: dict[str, str]
    measured: Measured = field(default_factory=Measured)


def load(path: Path) -> list[Record]:
    """The records of a file; none where there is no file."""
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    return [Record(**{**record, "measured": Measured(**record["measured"])}) for record in found]


def merged(old: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """A workload measured again on the same kind of device replaces its older record."""
    kept = {(record.device, record.workload): record for record in old}
    kept |= {(record.device, record.workload): record for record in new}
    return list(kept.values())


def save(path: Path, records: Iterable[Record]) -> None:
    """Write the file; one line per record, so that versions compare."""
    lines = ",\n".join(json.dumps(asdict(record)) for record in records)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
