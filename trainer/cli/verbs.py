"""The help of the program and of its verbs."""

import dataclasses
import textwrap

from trainer import __version__
from trainer.cli import arguments
from trainer.config import registry
from trainer.config.keys import MISSING, public
from trainer.config.reopening import PLACES
from trainer.config.train import Train


def overview() -> str:
    """`trainer --help`."""
    width = max(map(len, registry.verbs()))
    lines = "\n".join(f"  {verb:<{width}}  {registry.command(verb).SUMMARY}" for verb in registry.verbs())
    return textwrap.dedent(
        f"""\
        trainer VERB key=value ...      train models from composable configs

        {{verbs}}

        trainer VERB --help             the verb's choices and keys
        eval "$(trainer -sc install=bash)"   tab completion
        trainer --version               {__version__}"""
    ).replace("{verbs}", lines)


def help_of(verb: str) -> str:
    """`trainer VERB --help`."""
    from trainer.config.composition import group_choices

    cls = registry.of_verb(verb)
    fields = dataclasses.fields(cls)
    command = registry.command(verb)
    place = arguments.positional(verb)
    usage = f"trainer {verb}"
    if place is not None:
        run = "RUN ..." if "list" in str(place.type) else "RUN"
        usage += f" {run}" if place.default == MISSING else f" [{run}]"
    lines = [f"{usage} [key=value ...]      {command.SUMMARY}", ""]
    lines += [f"  {line}" for line in command.EXAMPLES.strip().splitlines()]
    groups = [f.name for f in fields if f.name in registry.GROUPS]
    if verb == "train":
        groups.append("experiment")
    lines += ["", "Choices"] if groups else []
    for group in groups:
        text = f"  {group}=" + "|".join(group_choices(group))
        lines += textwrap.wrap(text, 100, subsequent_indent="    ", break_on_hyphens=False)
    lines += ["", "Keys (all of them, with the sections' own: docs/reference.md, or --cfg job)"]
    for f in fields:
        if f.name in registry.GROUPS:
            continue
        if dataclasses.is_dataclass(f.type) and isinstance(f.type, type):
            inner = ", ".join(g.name for g in dataclasses.fields(f.type))
            lines.append(f"  {f.name}.{{{inner}}}")
        else:
            default = "null" if f.default is None else str(f.default)
            name = public(f.name)
            shown = f"{name}=" if default == "???" else f"{name}={default}"
            lines.append(f"  {shown:<24} {f.metadata['doc']}")
    if verb in registry.REOPENING:
        keys = ", ".join(sorted({*_runtime_keys(Train), *(PLACES if verb == "reproduce" else ())}))
        lines += ["", "Keys of the training that may change"]
        lines += textwrap.indent(textwrap.fill(keys, 100, break_on_hyphens=False), "  ").splitlines()
    lines += ["", "Hydra's flags work too: -m (sweep), --cfg job, --info, --config-dir DIR, --hydra-help"]
    return "\n".join(lines)


def _runtime_keys(cls: type, prefix: str = "") -> set[str]:
    """The keys that may change when a training is resumed, of `cls` and its sections."""
    found: set[str] = set()
    for f in dataclasses.fields(cls):
        if f.name in registry.GROUPS:
            found.update(*(_runtime_keys(section, f"{f.name}.") for section in registry.sections(f.name).values()))
        elif dataclasses.is_dataclass(f.type) and isinstance(f.type, type):
            found |= _runtime_keys(f.type, f"{prefix}{f.name}.")
        elif f.metadata.get("runtime"):
            found.add(f"{prefix}{public(f.name)}")
    return found
