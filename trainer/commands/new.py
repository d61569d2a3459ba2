"""`trainer new`: a part of the user's own from a template that trains at once."""

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config.base import Config
from trainer.config.keys import key
from trainer.system.errors import ConfigError, did_you_mean

SUMMARY = "a part of your own (a model, a loss, ...) from a template that trains at once"
EXAMPLES = """
trainer new model mynet              mynet.py and configs/model/mynet.yaml; then: trainer train model=mynet
trainer new loss focal               kinds: model, data, loss, metric, scheduler, augment, hook, optim
"""

# Each kind by what trains with the new part.
TRAINS = {
    "model": "model=mine",
    "data": "data=mine model=mlp",
    "loss": "loss=mine",
    "metric": "metrics=mine",
    "scheduler": "scheduler=mine",
    "augment": "data.augment=mine",
    "hook": "hooks=mine",
    "optim": "optim=mine",
}
# What the screen calls each kind.
WORDS = {
    "model": "a model",
    "data": "a data set",
    "loss": "a loss",
    "metric": "a metric",
    "scheduler": "a schedule",
    "augment": "an augmentation",
    "hook": "a hook",
    "optim": "an optimizer",
}
_WORDS = re.compile(r"\b(mine|Mine)\b")  # what a template calls its part


@dataclass
class New(Config):
    """`trainer new`: write a part of the user's own."""

    part: list[str] = key([], "the kind, and the name of the new part", text=True, positional="KIND NAME")


def run(config: New) -> dict[str, Any]:
    """Write NAME.py and configs/KIND/NAME.yaml in the current directory, and say what trains with them.

    Returns:
        The files.

    Raises:
        UserError: There is no such kind, the name cannot be taken, or a file is there already.
        StorageError: A file cannot be written.
    """
    from trainer.show.report import Report
    from trainer.system.atomic import storing, write_text

    kind, name = _read(config.part)
    code, section = Path(f"{name}.py"), Path("configs") / kind / f"{name}.yaml"
    for path in (code, section):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path} is there already, and is not overwritten", "choose another name")
    _check(kind, name)
    with storing(section):
        section.parent.mkdir(parents=True, exist_ok=True)
    write_text(code, _template(kind, "py", name))
    write_text(section, _template(kind, "yaml", name))
    screen = Report()
    screen.say(f"{code} is {WORDS[kind]}, and {section} gives it a name and its keys")
    screen.commands([f"trainer train {_named(TRAINS[kind], name)}"])
    return {"files": [str(code), str(section)]}


def _read(words: list[str]) -> tuple[str, str]:
    kind = words[0] if words else "KIND"
    if kind not in TRAINS:
        raise ConfigError(f"trainer new {kind}: no such kind of part", did_you_mean(kind, TRAINS))
    if len(words) != 2:
        raise ConfigError(f"trainer new {' '.join(words)}: a kind and one name", f"trainer new {kind} my{kind}")
    return kind, words[1]


def _check(kind: str, name: str) -> None:
    from trainer.config import named, registry
    from trainer.config.composition import ours

    other = f"choose another name, such as my{kind}"
    if not named.is_name(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise ConfigError(f"'{name}' cannot be the name of a module", "a name has letters, digits and _, like my_part")
    taken = named.OURS[kind] if kind in registry.NAMED else (*ours(kind), *registry.names(kind))
    if name in taken:
        raise ConfigError(f"'{name}' is {WORDS[kind]} of trainer's own", other)
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise ConfigError(f"'{name}' is the name of a module that Python has already", other)


def _template(kind: str, suffix: str, name: str) -> str:
    file = Path(__file__).parent.parent / "templates" / f"{kind}.{suffix}.txt"
    return _named(file.read_text(encoding="utf-8"), name)


def _named(text: str, name: str) -> str:
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_")) or name
    return _WORDS.sub(lambda found: name if found[1] == "mine" else camel, text)
