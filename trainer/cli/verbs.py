"""The help of the program and of its verbs."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from trainer import __version__
from trainer.cli.composed import Composed, composed
from trainer.cli.pages import Page
from trainer.config import index, registry
from trainer.config.base import FACTS
from trainer.config.choices import group_choices, summary
from trainer.config.index import Key
from trainer.config.keys import MISSING, shown
from trainer.system.errors import TrainerError
from trainer.system.shown import shortened

# Verbs that are no commands with a config, and so no modules in `trainer/commands`.
BESIDE = {
    "help": "explain a key, a choice, a group or a verb: trainer help optim.lr",
    "completion": "install tab completion for bash, zsh or fish: trainer completion install",
}
_WAYS = {
    "help": {
        "trainer help KEY": "a key, or its last word: trainer help lr",
        "trainer help KEY RUN": "also its value in a run, and where that came from",
        "trainer help KEY key=value ...": "also its value on a command line, and where that comes from",
        "trainer help GROUP": "what may be chosen: trainer help data",
        "trainer help GROUP=CHOICE": "a choice and its keys: trainer help model=mlp",
        "trainer help VERB": "the same as trainer VERB --help",
        "trainer help VERB KEY": "a key of that verb: trainer help eval split",
        "trainer help WORD": "the keys whose meaning has that word in it: trainer help learning",
    },
    "completion": {
        "trainer completion install": "for the shell that you log in with",
        "trainer completion install zsh": "for another: bash, zsh or fish",
        "trainer completion zsh": "print the script that is installed",
    },
}
# The parts of the help of `trainer train`: their groups, and the verb's own keys (or sections) in them, in this order.
_PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Data": (("data",), ()),
    "Model": (("model",), ("from",)),
    "Optimizer, schedule and loss": (("optim", "scheduler", "loss"), ("clip_norm", "label_smoothing", "accumulate")),
    "Training": ((), ("epochs", "max_minutes", "early_stopping", "evaluate", "seed", "device", "precision", "ema")),
    "Output": (("tracking",), ("name", "output", "plots", "tables", "checkpoint", "tensorboard")),
    "Sweeps, with -m": (("sweep", "search"), ()),
}
_REST = "Training"  # the part of keys that stand in none
FLAGS = {
    "-m": "a sweep: a job for each combination of values with commas, optim.lr=0.1,0.01",
    "--cfg job": "print the composed config, and run nothing",
    "--resolve": "the same, with ${...} followed",
    "--info": "print where the config comes from: its files, in their order",
    "--config FILE": "take a whole config from a file, which trainer config writes",
    "--config-dir DIR": "look for configs in DIR, too",
    "--help": "print this",
    "--hydra-help": "print what Hydra's own flags do",
}
_ENVIRONMENT = re.compile(r"\$\{oc\.env:(TRAINER_\w+), *'?(.*?)'?\}")  # of no other program: it may be a secret
_LONGEST = 28  # characters of a value beside its key
_LINES = 2  # of what a key means
_COLUMN = 30  # where that begins
_FEW = 12  # choices that are named before what a key means
_MANY = 4  # keys of a section that are named together


def overview() -> str:
    """`trainer --help`."""
    page = Page()
    page.text("trainer VERB [key=value ...]", "")
    page.text("Train models from composable configs.", "")
    page.heading("Verbs")
    page.rows([*((verb, registry.command(verb).SUMMARY) for verb in registry.verbs()), *BESIDE.items()])
    page.heading("First steps")
    page.rows(
        [
            ("trainer train", "a small network on handwritten digits, in seconds"),
            ("trainer train --help", "what can be set"),
            ("trainer help optim.lr", "what a key does"),
            ("trainer completion install", "tab completion in your shell"),
            ("trainer --version", __version__),
        ]
    )
    return str(page)


def help_of(verb: str, words: Sequence[str] = ()) -> str:
    """`trainer VERB --help`: with the keys of what the other `words` choose, and with the values that they give."""
    found, mistake = _composed(verb, words)
    page = Page()
    page.text(usage(verb), "")
    summary = registry.command(verb).SUMMARY
    page.text(f"{summary[0].upper()}{summary[1:]}.", "")
    page.heading("Examples")
    page.code(registry.command(verb).EXAMPLES.strip().splitlines())
    if verb in registry.TRAINING:
        _training(page, found)
    else:
        _parts(page, found)
    page.heading("Flags")
    page.rows((flag, text) for flag, text in FLAGS.items() if flag != "-m" or verb not in registry.REOPENING)
    page.heading("More")
    page.rows(_more(verb))
    if mistake is not None:
        page.heading("These are the defaults")
        page.text(mistake.message)
    return str(page)


def help_beside(word: str) -> str:
    """The same of `help` and `completion`."""
    page = Page()
    page.text(f"{BESIDE[word][0].upper()}{BESIDE[word][1:].partition(':')[0]}.", "")
    page.space()
    page.rows(_WAYS[word].items())
    return str(page)


def usage(verb: str) -> str:
    """`trainer eval RUN [key=value ...]`."""
    place = next((key for key in index.of_verb(verb) if key.has("positional")), None)
    if place is None:
        return f"trainer {verb} [key=value ...]"
    said = place.field.metadata["positional"]
    if isinstance(said, str):
        return f"trainer {verb} {said}"
    word = "RUN ..." if "list" in place.type else "RUN"
    return f"trainer {verb} {word if place.required else f'[{word}]'} [key=value ...]"


def _composed(verb: str, words: Sequence[str]) -> tuple[Composed, TrainerError | None]:
    try:
        return composed(verb, words), None
    except TrainerError as error:
        if not words:
            raise
        return composed(verb, ()), error


def _training(page: Page, found: Composed) -> None:
    """The parts of the help of a training, with those keys first that people set most."""
    own = {key.name: key for key in index.of_verb(found.given.verb) if not key.is_group}
    trained = {key.name for key in index.of_verb("train")}
    if beside := [own.pop(name) for name in [*own] if name not in trained]:
        page.heading(found.given.verb.capitalize())
        _part(page, found, (), beside)
    for title, (groups, names) in _PARTS.items():
        page.heading(title)
        keys = [key for name in names for key in own.values() if key.name.split(".")[0] == name]
        if title == _REST:
            placed = {name for _, among in _PARTS.values() for name in among}
            keys += [key for key in own.values() if key.name.split(".")[0] not in placed]
        _part(page, found, groups, keys)
    page.heading("Recipes")
    page.rows(_choice(found, "experiment"), column=_COLUMN)


def _parts(page: Page, found: Composed) -> None:
    """The parts of the help of any other verb: all of its own keys, and what may be chosen."""
    verb = found.given.verb
    page.heading("Keys")
    page.rows((_row(found, key) for key in index.of_verb(verb) if not key.is_group), column=_COLUMN)
    for group in index.groups(verb):
        page.heading(group.capitalize())
        _part(page, found, [group], [])
    if verb in registry.REOPENING:
        from trainer.config.reopening import PLACES

        page.heading("Keys of the training that may change")
        keys = [key for key in index.keys(verb) if not key.has("positional") and key.group not in registry.OF_A_SWEEP]
        page.listed("", sorted({key.typed for key in keys} | set(PLACES if verb == "reproduce" else ())))


def _part(page: Page, found: Composed, groups: Sequence[str], own: Sequence[Key]) -> None:
    """What may be chosen in groups, the keys of what is, and the verb's `own` keys."""
    rest = [key for key in own if not key.has("often")]
    rows = []
    for group in groups:
        rows += _choice(found, group)
        shown, more = _of_section(found, group)
        rows += [_row(found, key) for key in shown] + _unknown(found, group)
        rest += more
    rows += [_row(found, key) for key in own if key.has("often")]
    page.rows(rows, _LINES, _COLUMN)
    if rest:
        page.listed("also:", _together(rest))


def _of_section(found: Composed, group: str) -> tuple[list[Key], list[Key]]:
    """The keys of the chosen section that are explained, and those that are only named; none that the data tell."""
    keys = [key for key in found.keys() if key.group == group and not _from_data(found, key)]  # noqa: SIM118
    few = any(key.has("often") and key.section for key in keys)
    shown = [key for key in keys if key.has("often") or (key.section and not few and not key.has("private"))]
    return shown, [key for key in keys if key not in shown]


def _from_data(found: Composed, key: Key) -> bool:
    """Whether nobody sets a key, for its value is taken from the data."""
    if key.group == "data":
        return key.has("private") and key.within in FACTS
    return str(found.value(key.name, "")).startswith("${data.")


def _unknown(found: Composed, group: str) -> list[tuple[str, str]]:
    """The keys of a class of the user's own, of which nothing is declared."""
    section = found.values.get(group)
    if not isinstance(section, dict) or "_target_" not in section:
        return []
    known = {key.within.split(".")[0] for key in index.of_group(group)}
    return [(f"{group}.{name}={text(value)}", "") for name, value in section.items() if name not in known]


def _choice(found: Composed, group: str) -> list[tuple[str, str]]:
    chosen = found.choices.get(group, "None")
    others = ", ".join(choice for choice in group_choices(group) if choice != chosen)
    if group == "data":
        others += "; or your own: data=./photos, data=houses.csv"
    if chosen != "None":
        return [(f"{group}={chosen}", summary(group, chosen)), ("", f"or {others}")]
    docs = {key.name: key.doc for key in index.of_verb(found.given.verb)}
    doc = docs.get(group, "a recipe, with all the choices and values of a training")
    return [(f"{group}=NAME", doc.partition(": ")[0]), ("", f"NAME is {others}")]


def _together(keys: Sequence[Key]) -> list[str]:
    """The names of keys; several of one section as that: data.augment.*"""
    of = Counter(key.name.rpartition(".")[0] for key in keys if "." in key.within)
    names = [key.typed if of[above := key.name.rpartition(".")[0]] < _MANY else f"{above}.*" for key in keys]
    return list(dict.fromkeys(names))


def _row(found: Composed, key: Key) -> tuple[str, str]:
    value = found.value(key.name, key.default)
    choices, doc = ", ".join(key.choices), key.doc
    if not all(choice in doc for choice in key.choices):
        doc = f"{choices}: {doc}" if len(key.choices) <= _FEW else f"{doc}: {choices}"
    return f"{key.typed}={'...' if value == MISSING else text(value)}", doc


def text(value: Any) -> str:
    """A value as it stands beside its key."""
    found = str(value).lower() if isinstance(value, bool) else shown(value)
    return shortened(_ENVIRONMENT.sub(lambda words: os.environ.get(words[1], words[2]), found), _LONGEST)


def _more(verb: str) -> list[tuple[str, str]]:
    rows = [("trainer help KEY", "what a key does, its limits, and where its value comes from")]
    if index.groups(verb):
        rows.append(("trainer help model=mlp", "what a choice is, and its keys; also: trainer help data"))
    return rows
