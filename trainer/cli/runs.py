"""What a run was started with, and where each value came from."""

from typing import Any

from trainer.cli.composed import Composed, composed, within
from trainer.compare import latest
from trainer.config import kept, registry
from trainer.config.keys import shown
from trainer.config.reopening import written_in
from trainer.config.written import plain
from trainer.run import records
from trainer.system.errors import TrainerError
from trainer.system.paths import resolved
from trainer.system.shown import shortened

_LONGEST = 100  # characters of a value


def in_run(name: str, run: str) -> str:
    """In words, the value of a key in a run, or its choice in a group, and where that came from.

    Raises:
        RunError: There is no such run, or its config cannot be read.
    """
    found = latest.meant(run, latest.Wanted(unsaved=True))
    place = resolved(run if found is None else found[0])
    kept_there = plain(written_in(place))
    words = [word for word in records.overrides(place) if "=" in word]
    now = _again(words)
    if name in registry.GROUPS:
        section = kept_there.get(name) or {}
        value = section.get("_target_") or section.get("name")
    else:
        value = within(kept_there, name)
    which = "" if found is None else f" ({run} is taken as {found[0]}, {found[1]})"
    return _text(value) + _origin(name, value, words, now) + which


def _origin(name: str, value: Any, words: list[str], now: Composed | None) -> str:
    if any(word.lstrip("+").partition("=")[0] in (name, f"{name}.preset") for word in words):
        return ", typed when it was started"
    if now is None:
        return ""
    if name in registry.GROUPS:
        return f", from {now.origin(name)}" if now.sections.get(name) == value else ""
    if now.value(name) == value:
        return f", from {now.origin(name)}"
    return ", which auto became" if now.value(name) == "auto" else ""


def _again(words: list[str]) -> Composed | None:
    """What was typed composed anew, as far as a file may say it; None where that cannot be done here."""
    try:
        return composed("train", [word for word in words if kept.may_say(word)])
    except TrainerError:
        return None


def _text(value: Any) -> str:
    return shortened(str(value).lower() if isinstance(value, bool) else shown(value), _LONGEST)
