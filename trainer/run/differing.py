"""What of a run's config is not as it would be by default: what somebody chose, and what the data decided."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainer.config import registry
from trainer.config.base import BESIDE, FACTS, Custom
from trainer.config.keys import shown
from trainer.config.train import Train

_NOT_SAID = ("name", "arch", "_target_")  # which the section's own line has


def of(config: Train) -> list[tuple[str, str, str]]:
    """Key, value and default: each choice of a group, and of the other keys those with another value.

    Keys that no result depends on are left out (they may hold an address with a password in it), and so is what a model
    takes from the data.
    """
    found = []
    values = _flat(config.composed())
    usual = _flat(registry.defaults(type(config)))
    for group in registry.OF_A_TRAINING:
        found.append((group, config.called(group), ""))
        section = getattr(config, group)
        if not isinstance(section, Custom):
            usual |= {f"{group}.{key}": value for key, value in _flat(registry.defaults(type(section))).items()}
    for key, value in values.items():
        if _is_said(key, value) and value != usual.get(key, _NOTHING):
            default = usual.get(key, _NOTHING)
            found.append((key, shown(value), "" if default is _NOTHING else shown(default)))
    return sorted(found, key=lambda line: (line[0].partition(".")[0] not in registry.OF_A_TRAINING, _order(line[0])))


_NOTHING = object()


def _order(key: str) -> tuple[int, str]:
    group = key.partition(".")[0]
    return (registry.OF_A_TRAINING.index(group) if group in registry.OF_A_TRAINING else 0), key


def _is_said(key: str, value: Any) -> bool:
    group, _, name = key.partition(".")
    follows = isinstance(value, str) and "${" in value
    of_data = group == "data" and name in FACTS
    return not (follows or of_data or name in _NOT_SAID or {key, group} & set(BESIDE))


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    return dict(_each(values, above))


def _each(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _each(value, f"{above}{key}.")
        else:
            yield above + str(key), value
