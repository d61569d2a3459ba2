"""Write docs/reference.md from the declarations of the keys:  python docs/make_reference.py"""

import dataclasses
import typing
from pathlib import Path

from trainer.config import registry
from trainer.config.keys import public

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# All keys

Written from `the declarations of the keys` by `python docs/make_reference.py`; do not edit by hand.
`null` is "not set", `???` must be given. `trainer VERB --cfg job` shows what your command line makes of them.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, *(f"## `trainer {verb}`\n\n{_table(registry.of_verb(verb))}" for verb in registry.verbs())]
    for group in registry.GROUPS:
        parts.append(f"## Group `{group}`\n")
        common = registry.shared(group)
        if common is not None:
            parts.append(f"Every choice has these keys:\n\n{_table(common, skip={'name'})}")
        shared = set() if common is None else {f.name for f in dataclasses.fields(common)}
        for name, cls in registry.sections(group).items():
            about = " ".join((cls.__doc__ or "").split())
            table = _table(cls, skip={"name"}, known=shared, base=common)
            parts.append(f"### `{group}={name}`\n\n{about}\n\n{table}".rstrip() + "\n")
    return "\n".join(parts)


def _table(cls: type, skip: set[str] = frozenset(), known: set[str] = frozenset(), base: type | None = None) -> str:
    rows = list(_rows(cls, "", skip, known, base))
    if not rows:
        return ""
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _rows(cls: type, prefix: str, skip: set[str], known: set[str], base: type | None) -> typing.Iterator[str]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in skip or (field.name in known and base is not None and _same(field, base)):
            continue
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _rows(hint, f"{prefix}{field.name}.", set(), set(), None)
            continue
        made = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        name = f"{prefix}{public(field.name)}"
        meaning = field.metadata["doc"].replace("|", "\\|")
        yield f"| `{name}` | {_type(hint, field)} | `{_value(made)}` | {meaning}{_limits(field)} |"


def _same(field: dataclasses.Field, base: type) -> bool:
    """Whether the choice has the key just as every other choice has it."""
    twin = next(f for f in dataclasses.fields(base) if f.name == field.name)
    return twin.default == field.default and twin.metadata == field.metadata


def _type(hint: object, field: dataclasses.Field) -> str:
    if "choices" in field.metadata:
        return " ".join(f"`{c}`" for c in field.metadata["choices"])
    if hint is typing.Any:
        return "section"
    name = str(hint if typing.get_args(hint) else getattr(hint, "__name__", hint))
    for word in field.metadata.get("words", ()):
        name = name.removesuffix(" | str") + f" or `{word}`"
    return name.replace(" | None", " or null").replace(" | ", " or ").replace("typing.", "")


def _value(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _limits(field: dataclasses.Field) -> str:
    words = {"minimum": "at least", "above": "above", "maximum": "at most", "below": "below"}
    found = [f"{text} {field.metadata[name]}" for name, text in words.items() if name in field.metadata]
    return f" ({', '.join(found)})" if found else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
