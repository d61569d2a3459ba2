"""Write docs/reference.md from the declarations of the keys:  python docs/make_reference.py"""

from collections.abc import Iterable
from pathlib import Path

from trainer.config import index, registry
from trainer.config.index import Key

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# All keys

Written from `the declarations of the keys` by `python docs/make_reference.py`; do not edit by hand.
`null` is "not set", `???` must be given. `trainer VERB --cfg job` shows what your command line makes of them.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, *(f"## `trainer {verb}`\n\n{_of_verb(verb)}" for verb in registry.verbs())]
    for group in registry.GROUPS:
        parts.append(f"## Group `{group}`\n")
        if index.of_group(group):
            parts.append(f"Every choice has these keys:\n\n{_table(index.of_group(group))}")
        for name, cls in registry.sections(group).items():
            about = " ".join((cls.__doc__ or "").split())
            own = [key for key in index.of_section(group, name) if key.section]
            parts.append(f"### `{group}={name}`\n\n{about}\n\n{_table(own)}".rstrip() + "\n")
    return "\n".join(parts)


def _of_verb(verb: str) -> str:
    keys, trained = index.of_verb(verb), index.of_verb("train")
    if verb == "train" or not {*trained} <= {*keys}:
        return _table(keys)
    own = [key for key in keys if key not in trained]
    return f"The keys of `trainer train`, and:\n\n{_table(own)}" if own else "The keys of `trainer train`.\n"


def _table(keys: Iterable[Key]) -> str:
    rows = [
        f"| `{key.within}` | {_type(key)} | `{key.shown_default}` | {_cell(key.doc)}{_limits(key)} |" for key in keys
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n" if rows else ""


def _type(key: Key) -> str:
    if key.choices:
        return " ".join(f"`{choice}`" for choice in key.choices)
    name = key.type
    for word in key.words:
        name = name.replace(f" or {word}", f" or `{word}`")
    return name


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _limits(key: Key) -> str:
    return f" ({key.limits})" if key.limits else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
