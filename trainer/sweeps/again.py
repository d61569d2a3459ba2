"""`trainer resume SWEEP` repeats the sweep's own command line, with what is typed now."""

import os
from pathlib import Path

from trainer.config import registry
from trainer.config.kept import NEUTRAL, may_say
from trainer.run import records
from trainer.system.errors import ConfigError, RunError
from trainer.system.paths import quoted
from trainer.system.shown import shortened
from trainer.system.streams import warn

FLAGS = ("-m", "--multirun")
SHOWN, LONGEST = 3, 200  # so many words that have to be typed again are shown, of so many characters


def is_sweep(directory: Path) -> bool:
    """Whether `directory` is that of a sweep, and not of one run."""
    return (directory / records.OVERRIDES).is_file() and not os.path.lexists(directory / "config.yaml")


def arguments(directory: Path, typed: list[str]) -> list[str]:
    """The sweep's command line after `trainer train`; a key that is typed again takes its new values.

    The file may be a stranger's. It says plain values of keys; what leads out of the sweep has to be typed again.

    Raises:
        RunError: The sweep does not say how it was started.
        ConfigError: The command line holds more than a file may say.
    """
    kept = records.overrides(directory)
    if not set(FLAGS) & set(kept):
        raise RunError(
            f"{directory / records.OVERRIDES} is not what a sweep writes", "start a new sweep: trainer train -m ..."
        )
    new = {_key(word): word for word in typed}
    for group in registry.OF_A_SWEEP:
        if group in new:  # another way to run it has other keys
            kept = [word for word in kept if not _key(word).startswith(f"{group}.")]
    kept = _inert(directory, kept, new)
    return [*[new.pop(_key(word), word) for word in kept], *new.values()]


def _inert(directory: Path, kept: list[str], new: dict[str, str]) -> list[str]:
    """The words of the file that it may hold; those whose key is typed again are replaced anyway."""
    taken, refused = [], []
    for word in kept:
        key, _, value = _key(word), *word.partition("=")[1:]
        if word in FLAGS or key in new or may_say(word) or (key in NEUTRAL and value in ("null", "false")):
            taken.append(word)
        elif key in NEUTRAL:
            warn(f"{shortened(word, LONGEST, '...')} is not taken from a file; type it again if you want it")
        else:
            refused.append(word)
    if refused:
        more = " ..." if len(refused) > SHOWN else ""
        words = " ".join(quoted(word) if len(word) <= LONGEST else "..." for word in refused[:SHOWN])
        said = [shortened(word, LONGEST, "...") for word in refused[:SHOWN]]
        raise ConfigError(
            f"{directory} was started with {' '.join(said)}{more}, "
            "which a file may not say: it would run code, or lead out of the sweep",
            f"if you trust it, type it again: trainer resume {quoted(directory)} {words}{more}",
        )
    if "data.root" in map(_key, taken) and not {"data.root", "data.download"} & new.keys():
        taken.append("data.download=false")  # a file does not say where on this machine to write
    return taken


def _key(word: str) -> str:
    return word.lstrip("+~").split("=", 1)[0]
