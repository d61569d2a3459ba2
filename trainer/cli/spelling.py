"""Words as people type them who know other programs, where there is no doubt what they mean: each is said in a line.

`--epochs 3` is `epochs=3`, `data=MNIST` is `data=mnist`, `device=gpu` is `device=cuda`, and `data=./photos` is
`data=folder data.path=./photos`.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from trainer.cli import datapath, naming
from trainer.config import index, registry, synonyms
from trainer.config.choices import group_choices
from trainer.config.index import Key

_WORD = re.compile(r"[\w.:-]+")
_NUMBER = re.compile(r"-?[\d.]+")
_DESCRIBED = ("eval", "predict", "export", "serve")  # verbs to which a checkpoint describes the data
_CONFIG = (".yaml", ".yml")


def mended(verb: str, words: Sequence[str], flags: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """The words after a verb as trainer takes them, and what to say of those that were typed otherwise.

    `flags` are those that are known, and whether a value follows; `--NAME` may be one of the verb's keys as well.
    """
    found: list[str] = []
    said: list[str] = []
    queue = _joined(words)
    while queue:
        word = queue.pop(0)
        if word.split("=", 1)[0] in flags:
            found += [word, queue.pop(0)] if flags.get(word) and queue else [word]
            if found[-2:-1] == ["--config"]:
                found[-2:] = [f"--config={found[-1]}"]
            continue
        new = [word]
        if word.startswith("--") or re.match(r"-[A-Za-z]{2,}", word):
            new = [_of_flag(verb, word, queue)]
        elif word.endswith(_CONFIG) and "=" not in word and verb in registry.TRAINING and os.path.isfile(word):
            new = [f"--config={word}"]
        elif "=" not in word and verb in (*registry.TRAINING, "inspect") and _is_data(verb, word):
            new = [f"data={word}"]
        if "=" in new[0] and not new[0].startswith(("-", "~")):
            new = _of_override(verb, new[0])
        found += new
        if new != [word]:
            said.append(f"{word} is taken as {' '.join(new)}")
    return found, said


def _joined(words: Sequence[str]) -> list[str]:
    """The words with `KEY = VALUE` and `KEY=A, B` put together, which a shell has taken apart."""
    found: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        last = found[-1] if found else ""
        if word.startswith("=") and _WORD.fullmatch(last):
            found[-1] += word if word != "=" or not queue else word + queue.pop(0)
        elif (last.endswith("=") or (last.endswith(",") and "=" in last)) and "=" not in word and word[:1] not in "-~+":
            found[-1] += word
        else:
            found.append(word)
    return found


def _of_flag(verb: str, word: str, queue: list[str]) -> str:
    """`--KEY VALUE` or `--KEY=VALUE` as an override; a flag that is no key stays as it is."""
    typed, equals, value = word.lstrip("-").partition("=")
    name = typed.replace("-", "_")
    off = name.removeprefix("no_") in _truths(verb) and name not in _truths(verb)
    if off and not equals:
        return f"{name.removeprefix('no_')}=false"
    known = bool(_of_name(verb, name)) or name in registry.GROUPS or "." in name or _last_words(verb, name)
    if not known or (not equals and name not in _truths(verb) and not queue):
        return word
    if equals:
        return f"{name}={value}"
    if name in _truths(verb):
        given = bool(queue) and queue[0].lower() in ("true", "false")
        return f"{name}={queue.pop(0).lower() if given else 'true'}"
    return f"{name}={queue.pop(0)}" if not queue[0].startswith("-") or _NUMBER.fullmatch(queue[0]) else word


def _of_override(verb: str, word: str) -> list[str]:
    """`KEY=VALUE` with a value as trainer spells it."""
    name, _, value = word.partition("=")
    key = name.lstrip("+")
    if (its := _place_of(verb, key, value)) is not None:
        return [f"{its}={value}"]
    if key == "data" and datapath.is_path(value):
        return datapath.taken(value, described=verb in _DESCRIBED)[0]
    if not _WORD.fullmatch(value.replace(",", "a")):
        return [word]
    return [f"{name}={','.join(_value(verb, key, part) for part in value.split(','))}"]


def _place_of(verb: str, key: str, value: str) -> str | None:
    """The key of a verb that names a run, where another program's name for it was typed."""
    its = next((each.name for each in index.of_verb(verb) if each.has("positional")), None)
    if its in (None, key, "path") or key not in synonyms.PLACES:
        return None
    if (verb, key) == ("reproduce", "from"):  # the weights that the training began with, at another place
        return None
    if key in registry.GROUPS:  # model=best.pt
        return its if value.endswith(naming.WEIGHTS) and os.path.isfile(value) else None
    return None if _of_name(verb, key) else its


def _value(verb: str, key: str, value: str) -> str:
    if key in registry.GROUPS or key == "experiment":
        options = group_choices(key)
        return value if value in options else synonyms.choice(key, value, options) or value
    if key == "device":
        return device(value)
    if _NUMBER.fullmatch(value) and key not in synonyms.VALUES:
        return value
    found = _of_name(verb, key)
    if not found or os.path.exists(value):
        return value
    if value.lower() == "none" and all(_may_be_null(each, value) for each in found):
        return "null"
    options = list(dict.fromkeys(choice for each in found for choice in each.choices))
    options = options or list(synonyms.VALUES.get(key, {}))
    if not options or value in options:
        return value
    same = [option for option in options if synonyms.plain(option) == synonyms.plain(value)]
    other = synonyms.among(value, synonyms.VALUES.get(key, {}))
    return same[0] if len(same) == 1 else other if other in options else value


def device(word: str) -> str:
    """The device that is meant by `gpu`, `GPU:1`, `0`, `cuda0`, ..."""
    small = word.lower()
    if small in ("gpu", "gpus"):
        return "mps" if sys.platform == "darwin" else "cuda"
    if small in ("none", "null", "default", "best"):
        return "auto"
    if match := re.fullmatch(r"(?:gpu|cuda|cuda:|gpu:)?(\d{1,3})", small):
        return f"cuda:{int(match[1])}"
    if small == "mps:0":
        return "mps"
    return small if small in ("auto", "cpu", "cuda", "mps") or re.fullmatch(r"cuda:\d+", small) else word


def _may_be_null(key: Key, value: str) -> bool:
    """Whether None stands for null: a text might be called `none`, and is hardly called `None`."""
    return "null" in key.values and not (key.has("text") and value != "None") and "none" not in key.choices


def _is_data(verb: str, word: str) -> bool:
    """Whether a word that is no override names a table, or a folder that is no run, which is there."""
    if not os.path.exists(word) or word in group_choices("data"):
        return False
    return naming.is_no_run(word) if os.path.isdir(word) else word.lower().endswith(datapath.TABLES)


def _of_name(verb: str, name: str) -> list[Key]:
    """The keys of this name, of the verb or of the sections of one group; to look at all others takes time."""
    group = name.partition(".")[0]
    among: Iterable[Key] = index.of_verb(verb)
    if group in index.groups("train" if verb in registry.REOPENING else verb) and "." in name:
        among = (key for section in registry.names(group) for key in index.of_section(group, section))
    elif verb in registry.REOPENING:
        among = index.keys(verb)
    return [key for key in among if key.name == name]


def _truths(verb: str) -> set[str]:
    """The keys that are true or false."""
    return {key.name for key in index.keys(verb) if key.hint is bool}


def _last_words(verb: str, name: str) -> bool:
    """Whether some key ends with a name, or another program has a key of it: the check says what it is called here."""
    return synonyms.key(name) is not None or bool(index.named(name, index.keys(verb)))
