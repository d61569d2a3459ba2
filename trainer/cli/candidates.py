"""What a word of a command line may become: verbs, groups, keys, their values, files and runs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from trainer.cli import verbs
from trainer.cli.places import paths, runs
from trainer.commands import new
from trainer.config import index, registry
from trainer.config.choices import group_choices, own_keys, sections, summary
from trainer.config.index import Key
from trainer.system.shown import printable

_RUNS = ("ckpt", "run", "from")  # last words of keys that take a run or a checkpoint ...
_FOLDERS = ("root", "output", "cache", "folder")  # ... a folder ...
_FILES = ("path", "test_path", "val_path", "input", "out", "weights")  # ... and a file or a folder
# Values of keys that take others, too.
_OFFERED = {"device": ("auto", "cpu", "cuda", "mps"), "format": ("onnx", "pt2", "safetensors")}
_OF_FLAGS = {"--cfg": ("job", "hydra", "all"), "-c": ("job", "hydra", "all"), "--info": ("all", "config", "defaults")}
_FOLDER_FLAGS = ("--config-dir", "-cd", "--config-path", "-cp")
_MOST = 2000  # candidates: nobody reads more
_LONGEST = 60  # characters of what is said of one


@dataclass(frozen=True)
class Candidate:
    """A whole word, and what is said of it. One that is `open` goes on: `optim.`, `lr=`, `runs/`."""

    word: str
    about: str = ""

    @property
    def open(self) -> bool:
        return self.word.endswith(("=", ".", "/"))


def candidates(before: Sequence[str], word: str) -> list[Candidate]:
    """What `word` may become after the words `before` it, which follow `trainer`; all are without quotes."""
    found = (one for one in _found(list(before), word) if one.word.startswith(word) and _is_inert(one.word))
    return list({one.word: one for one in islice(found, _MOST)}.values())


def _is_inert(word: str) -> bool:
    """Whether a word can be shown as it is: a name may hold a line break, or what steers a terminal."""
    return printable(word) == word


def _found(before: list[str], word: str) -> Iterator[Candidate]:
    if not before:
        yield from (Candidate(verb, registry.command(verb).SUMMARY) for verb in registry.verbs())
        yield from (Candidate(verb, about.partition(":")[0]) for verb, about in verbs.BESIDE.items())
        yield from map(Candidate, ("--help", "--version"))
        return
    verb, *words = before
    if verb == "help":
        yield from _topics(words, word)
    elif verb == "completion":
        yield from map(Candidate, ("install", "bash", "zsh", "fish") if not words else ("bash", "zsh", "fish"))
    elif verb not in registry.verbs():
        return
    elif words and words[-1] in _OF_FLAGS:
        yield from map(Candidate, _OF_FLAGS[words[-1]])
    elif words and words[-1] == "--config":
        yield from map(Candidate, paths(word))
    elif words and words[-1] in _FOLDER_FLAGS:
        yield from map(Candidate, paths(word, folders=True))
    elif word.startswith("-"):
        yield from _flags(verb)
    elif "=" in word:
        yield from _values(verb, words, word)
    else:
        yield from _positional(verb, words, word)
        yield from _keys(verb, words, word)


def _flags(verb: str) -> Iterator[Candidate]:
    for flag, about in verbs.FLAGS.items():
        yield Candidate(flag.partition(" ")[0], _short(about))
    for key in index.of_verb(verb):
        if key.has("flag"):
            yield Candidate(f"--{key.name}", _short(key.doc))


def _topics(words: Sequence[str], word: str) -> Iterator[Candidate]:
    """What `trainer help` explains."""
    if not words:
        yield from (Candidate(verb, registry.command(verb).SUMMARY) for verb in registry.verbs())
    verb = words[0] if words and words[0] in registry.verbs() else "train"
    if "=" in word:
        yield from _values(verb, [], word)
        return
    if words and words[-1] not in registry.verbs():
        yield from _places("run", word)
    for key in {key.typed: key for key in index.keys(verb)}.values():
        yield Candidate(key.typed, _short(key.doc))
    yield from (Candidate(f"{group}=") for group in _groups(verb))


def _groups(verb: str) -> list[str]:
    return [*index.groups(verb), *(["experiment"] if verb in registry.TRAINING else [])]


def _keys(verb: str, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """The keys down to the section that `word` has come to, which begin with the sign of an override."""
    sign = word[: len(word) - len(word.lstrip("+~"))]
    typed = word[len(sign) :]
    level = typed.count(".")
    if not level:
        docs = {key.name: key.doc for key in index.of_verb(verb)}
        yield from (Candidate(f"{sign}{group}=", _short(docs.get(group, "a recipe"))) for group in _groups(verb))
    top = typed.partition(".")[0]
    chosen = sections(verb, words) if level and top in registry.GROUPS else {}
    keys = index.keys(verb, chosen) if chosen else index.keys(verb)
    yield from (Candidate(f"{sign}{top}.{name}=") for name in own_keys(top, words) if level)
    for key in keys:
        parts = key.name.split(".")
        if key.is_group or len(parts) <= level or not key.name.startswith(typed.rpartition(".")[0]):
            continue
        section = len(parts) > level + 1
        name = ".".join(parts[: level + 1])
        yield Candidate(f"{sign}{name}.", "its keys") if section else Candidate(f"{sign}{name}=", _short(key.doc))
        if key.typed == name and section:  # data.augment=light
            yield Candidate(f"{sign}{name}=", _short(key.doc))


def _values(verb: str, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """The values of the key of `word`; of a list, or of a sweep, those of its last item."""
    key, _, value = word.partition("=")
    start = max(value.rfind(","), value.rfind("[")) + 1
    above, item = f"{key}={value[:start]}", value[start:]
    name = key.lstrip("+")
    if name in _groups(verb):
        yield from (Candidate(f"{above}{choice}", _short(summary(name, choice))) for choice in group_choices(name))
        if name == "data" and item.startswith((".", "~", "/")):  # the user's own: data=./photos, data=./houses.csv
            yield from (Candidate(f"{above}{path}") for path in paths(item))
        return
    among = index.keys(verb, sections(verb, words)) if name.partition(".")[0] in registry.GROUPS else index.keys(verb)
    found = [one for one in among if name in (one.name, one.typed)]
    for one in found or [one for one in index.keys(verb) if one.name == name]:
        for kind, named in registry.NAMED.items():  # metrics=mine is in ./configs/metric
            if one.name == named:
                yield from (Candidate(f"{above}{part}", _short(summary(kind, part))) for part in group_choices(kind))
        yield from (Candidate(f"{above}{offered}") for offered in (*one.values, *_OFFERED.get(one.word, ())))
        if one.has("text") and (kind := _kind(verb, one)):
            yield from (Candidate(f"{above}{place.word}", place.about) for place in _places(kind, item))


def _kind(verb: str, key: Key) -> str:
    """What a key of paths leads to; empty: nothing that can be listed."""
    if key.word in _RUNS or (verb == "runs" and key.name == "path"):
        return "run"
    return "folder" if key.word in _FOLDERS else "file" if key.word in _FILES else ""


def _positional(verb: str, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """What may stand where a word without a key is taken for one: a run, most often."""
    key = next((key for key in index.of_verb(verb) if key.has("positional")), None)
    taken = any(re.match(r"[^-=]+$", other) for other in words)
    if key is None or (taken and "list" not in key.type):
        return
    if verb == "new" and not taken:
        yield from (Candidate(kind, about) for kind, about in new.WORDS.items())
    elif kind := _kind(verb, key):
        yield from _places(kind, word)


def _places(kind: str, typed: str) -> Iterable[Candidate]:
    if kind == "run":
        return (Candidate(place, about) for place, about in runs(typed))
    return map(Candidate, paths(typed, folders=kind == "folder"))


def _short(text: str) -> str:
    text = printable(re.split(r"[;:] ", text)[0].rstrip("."))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3].rstrip()}..."
