"""Words that name a run: `latest`, a folder of runs, and a sweep for a verb that takes one run."""

import os

from trainer.config import registry
from trainer.system.paths import quoted

WEIGHTS = (".pt", ".pth", ".safetensors")
# The key of each verb that names a run, and whether it takes a sweep as a whole.
_KEYS = {
    **dict.fromkeys(registry.TRAINING, ("from", False)),
    "eval": ("ckpt", True),
    "predict": ("ckpt", True),
    "export": ("ckpt", False),
    "serve": ("ckpt", False),
    "inspect": ("ckpt", False),
    "resume": ("run", True),
    "reproduce": ("run", False),
}


def override(verb: str, word: str, notes: list[str]) -> str:
    """An override with the path of the run that it names; what is to be said of it goes to the `notes`."""
    name, equals, value = word.partition("=")
    key = name.lstrip("+")
    if not equals or key != _KEYS.get(verb, ("", False))[0] or value[:1] in ("", "'", '"', "["):
        return word
    return f"{name}={place(verb, key, value, notes)}"


def inputs(words: list[str]) -> list[str]:
    """Those of the words after `predict` that are what to predict: files and folders but the first, and no runs."""
    return [word for word in words[1:] if _is_input(word)]


def _is_input(word: str) -> bool:
    if os.path.isdir(word):
        return is_no_run(word)
    is_pattern = any(sign in word for sign in "*?[")
    return (os.path.isfile(word) or is_pattern) and not word.endswith(WEIGHTS)


def is_no_run(folder: str) -> bool:
    """Whether a folder is neither a run nor a sweep, nor holds any, nor files of weights."""
    from trainer.compare import finding

    found = finding.at(folder)
    if found.is_run or found.is_sweep or "checkpoints" in found.names:
        return False
    return not any(name.endswith(WEIGHTS) for name in found.names) and not any(True for _ in finding.below(found))


def place(verb: str, key: str, word: str, notes: list[str]) -> str:
    """The path of the run that a word names, which is most often the word itself."""
    from trainer.compare import latest  # late: not every command names a run

    its_key, sweep = _KEYS.get(verb, ("", False))
    if verb == "runs":
        found = latest.meant(word, latest.Wanted(sweep=True, unsaved=True)) if word.endswith(latest.LATEST) else None
    elif key == its_key and word not in ("null", "None"):
        found = latest.meant(word, latest.Wanted(sweep, unsaved=key == "run"))
    else:
        return word
    if found is None:
        return word
    path, why = found
    notes.append(f"{word} is taken as {quoted(path)}, {why}")
    return path
