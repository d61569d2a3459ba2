"""Many runs at once: found, chosen, sorted, and what differs between them."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from trainer.compare import finding, settings, where
from trainer.compare.entries import STATUSES, Entry, made
from trainer.config import registry
from trainer.engine.measures import direction, is_known
from trainer.show.values import duration, metric
from trainer.system.errors import ConfigError, RunError, did_you_mean, listed
from trainer.system.shown import counted

KEYS = 6  # the most keys that have a column on the screen


def collected(typed: Sequence[str], with_jobs: bool = False) -> list[Entry]:
    """The runs and sweeps at the places that were typed and below them, each once; `with_jobs`: those of sweeps, too.

    Raises:
        RunError: There is no such place, or there are too many entries to be searched.
    """
    found: dict[Any, Entry] = {}
    for word in typed:
        for place in finding.below(finding.at(word)):
            found.setdefault(place.path, made(place))
            if with_jobs and place.is_sweep:
                found |= {job.path: made(job) for job in finding.jobs(place)}
    return list(found.values())


def chosen(entries: Iterable[Entry], comparisons: str | None, statuses: str | None) -> list[Entry]:
    """Those for which all comparisons of `runs.where` hold, and whose status is one of `runs.status`.

    Raises:
        ConfigError: One of the two cannot be read, or no run has a key that is compared.
    """
    entries = list(entries)
    if statuses is not None:
        words = [word.strip() for word in statuses.split(",")]
        for word in words:
            if word not in STATUSES:
                raise ConfigError(f"runs.status={word}: no such status", did_you_mean(word, STATUSES))
        entries = [entry for entry in entries if entry.status in words]
    if comparisons is not None:
        wanted = where.read(comparisons)
        for comparison in wanted:
            _check_known(f"runs.where={comparisons}", comparison.key, entries)
        entries = [entry for entry in entries if where.fits(wanted, entry.value)]
    return entries


def ordered(entries: Sequence[Entry], by: str) -> list[Entry]:
    """Sorted by a fact, a metric or a key: the newest or the best first, else from small to large.

    With `-` before it the largest come first, with `+` the smallest. Runs that do not have it come last.

    Raises:
        ConfigError: No run has it.
    """
    key, sign = by.lstrip("+-"), by[:1]
    _check_known(f"runs.sort={by}", key, entries)
    falls = sign == "-" or (sign != "+" and _falls(key, entries))
    values = [(_value(entry, key), entry) for entry in entries]
    having = sorted((pair for pair in values if pair[0] is not None), key=lambda p: _rank(p[0]), reverse=falls)
    return [entry for _, entry in (*having, *(pair for pair in values if pair[0] is None))]


def _falls(key: str, entries: Sequence[Entry]) -> bool:
    if key == "objective":
        ways = Counter(entry.objective["direction"] for entry in entries if entry.objective)
        return ways["max"] > ways["min"]
    if "/" in key and is_known(key):
        return direction(key) == "max"
    return key == "when"


def _value(entry: Entry, key: str) -> Any:
    try:
        return entry.value(key)
    except KeyError:
        return None


def _rank(value: Any) -> tuple[int, float, str]:
    """What values of any kind are sorted by: numbers before words."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def _check_known(said: str, key: str, entries: Sequence[Entry]) -> None:
    if not entries or any(_has(entry, key) for entry in entries):
        return
    known = {name for entry in entries[:100] for name in (*entry.facts, *entry.config)}
    raise ConfigError(f"{said}: no run here has {key}", did_you_mean(key, known, "see trainer runs RUN for its keys"))


def _has(entry: Entry, key: str) -> bool:
    return key in entry.facts or key in entry.config


def differing(entries: Sequence[Entry]) -> list[str]:
    """The keys in which the runs differ: those first that all have, and of these those that were typed most often."""
    readable = [entry for entry in entries if entry.config]
    counts = Counter(key for entry in readable for key in entry.config)
    keys = []
    for key in filter(settings.is_compared, counts):
        values = {_hashable(entry.config[key]) for entry in readable if key in entry.config}
        from_data = all(isinstance(value, str) and value.startswith("${") for value in values)
        if not from_data and (len(values) > 1 or counts[key] < len(readable)):
            keys.append(key)
    typed = Counter(word.partition("=")[0] for entry in readable for word in entry.typed) if keys else Counter()
    return sorted(keys, key=lambda key: (counts[key] < len(readable), key not in registry.GROUPS, -typed[key]))


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


def table(
    entries: Sequence[Entry], keys: Sequence[str], width: int | None = None
) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and cells for `Report.table`, and the keys that have no column: all but the first few, or what fits."""
    objectives = {entry.objective["name"] for entry in entries if entry.objective}
    one = next(iter(objectives)) if len(objectives) == 1 else ""
    tests = {entry.test for entry in entries if entry.test}
    same = next(iter(tests)) if len(tests) == 1 else ""
    header = ["run", "when", "status", one or "objective", same or "test", "time", *keys[:KEYS]]
    rows = []
    for entry in entries:
        objective, test = entry.objective, entry.test
        value = objective.get("value")
        best = "-" if value is None else metric(objective["name"], value)
        rows.append(
            [
                str(entry.path),
                entry.when.strftime("%Y-%m-%d %H:%M") if entry.when else "-",
                entry.ending,
                best if one or value is None else f"{objective['name']} {best}",
                "-" if test is None else ("" if same else f"{test} ") + metric(test, entry.metrics[test]),
                "-" if entry.seconds is None else duration(entry.seconds),
                *(shown(entry.config.get(key)) for key in keys[:KEYS]),
            ]
        )
    columns = len(header) if width is None else _fitting([header, *rows], width, len(header) - len(keys[:KEYS]))
    return header[:columns], [row[:columns] for row in rows], [key for key in keys if key not in header[:columns]]


def _fitting(rows: Sequence[Sequence[str]], width: int, least: int) -> int:
    """How many columns fit beside each other, two blanks apart; `least` at any rate."""
    ends = itertools.accumulate(max(map(len, column)) + 2 for column in zip(*rows, strict=True))
    return max(least, sum(end - 2 <= width for end in ends))


def shown(value: Any) -> str:
    """A value of a config as people type it."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def further(rest: Sequence[str]) -> str:
    """What is said of the keys that have no column."""
    return f"{counted(len(rest), 'more key')} differ{'s' * (len(rest) == 1)}: {listed(rest)}" if rest else ""


def nothing(typed: Sequence[str], entries: Sequence[Entry]) -> RunError:
    """What to say where there is no run to show."""
    where_to = listed(typed)
    if entries:
        return RunError(
            f"none of the {counted(len(entries), 'run')} in {where_to} fits", "leave runs.where= or runs.status= out"
        )
    return RunError(f"there is no run in {where_to}", "trainer train makes one; give another folder: runs PATH")


def flat(entries: Sequence[Entry], keys: Sequence[str]) -> list[dict[str, Any]]:
    """One flat table row for each, with the same columns: for files of tables."""
    metrics = list(dict.fromkeys(name for entry in entries for name in entry.metrics))
    rows = []
    for entry in entries:
        row = {
            "path": str(entry.path),
            "name": entry.name,
            "when": entry.when.isoformat() if entry.when else None,
            "status": entry.status,
            "jobs": entry.jobs or None,
            "seconds": entry.seconds,
            "objective": entry.objective.get("name"),
            "value": entry.objective.get("value"),
            "best_epoch": entry.best_epoch,
        }
        row |= {name: entry.metrics.get(name) for name in metrics}
        rows.append(row | {key: entry.config.get(key) for key in keys})
    return rows
