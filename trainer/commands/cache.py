"""`trainer cache`: what is kept of decoded samples, and removing it."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.data import CACHE
from trainer.config.keys import key
from trainer.system.errors import ConfigError, RunError, did_you_mean

if TYPE_CHECKING:
    from trainer.data.cache_folder import Entry

SUMMARY = "list or remove the decoded samples that are kept for the next run"
EXAMPLES = """
trainer cache                        entries, sizes, and when they were used last
trainer cache clear=mnist            remove those of a data set; or one, by its name
trainer cache clear=all
"""


@dataclass
class Cache(Config):
    """`trainer cache`: list or remove the decoded samples that are kept for the next run."""

    folder: str | None = key(CACHE, "the folder of the cache, as `data.cache` names it", text=True)
    clear: str | None = key(
        None, "what to remove: all, all of a data set by its name, or an entry by its name", text=True
    )


def run(config: Cache) -> dict[str, Any]:
    """List the user's own entries, or remove some.

    Returns:
        The names of the entries that are left, and of those that were removed.

    Raises:
        UserError: There is no such entry, or the folder cannot be read.
    """
    from trainer.data import cache_folder
    from trainer.data.cache_entry import readable, remove
    from trainer.show.report import Report
    from trainer.system.paths import expanded

    screen = Report()
    if not config.folder:
        screen.say("there is no cache: $TRAINER_CACHE is empty")
        return {"left": [], "removed": []}
    folder = expanded(config.folder)
    try:
        place = cache_folder.own(folder)[0] if folder.is_dir() else folder
        found = cache_folder.entries(place) if place.is_dir() else []
        chosen = _chosen(found, config.clear, place)
        for entry in chosen:
            remove(entry.path)
        if config.clear == "all" and place.is_dir():
            cache_folder.remove_unfinished(place)
    except OSError as error:
        raise RunError(f"folder={folder} cannot be read: {error.strerror}", "give another: folder=DIR") from error
    stuck = [entry.path for entry in chosen if entry.path.exists()]
    if stuck:
        raise RunError(f"{stuck[0]} cannot be removed", "make sure that its folder can be written to")
    if config.clear is not None:
        entries = f"{len(chosen)} {'entry' if len(chosen) == 1 else 'entries'}"
        screen.say(f"removed {entries} of {readable(sum(entry.size for entry in chosen))}")
    left = [entry for entry in found if entry not in chosen]
    rows = [(entry.path.name, readable(entry.size), _day(entry.used)) for entry in left]
    total = readable(sum(entry.size for entry in left))
    screen.say(f"{place}: {f'{total} in all' if left else 'nothing'}", style="bold")
    if left:
        screen.table(("entry", "size", "last used"), rows)
    return {"left": [entry.path.name for entry in left], "removed": [entry.path.name for entry in chosen]}


def _chosen(found: "list[Entry]", clear: str | None, place: Path) -> "list[Entry]":
    """The entries that are to be removed."""
    if clear is None:
        return []
    chosen = [entry for entry in found if clear in ("all", entry.name, entry.path.name)]
    if not chosen and clear != "all":
        names = {entry.name for entry in found} | {"all"}
        raise ConfigError(f"clear={clear}: {place} has no such entry", did_you_mean(clear, names))
    return chosen


def _day(used: float) -> str:
    return datetime.datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
