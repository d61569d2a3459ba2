"""`trainer resume SWEEP` repeats the sweep's own command line, with what is typed now."""

from pathlib import Path

from trainer.config import registry
from trainer.run import directory as runs
from trainer.system.errors import ConfigError, RunError

FLAGS = ("-m", "--multirun")


def is_sweep(directory: Path) -> bool:
    """Whether `directory` is that of a sweep, and not of one run."""
    return (directory / "overrides.yaml").is_file() and not (directory / "config.yaml").exists()


def arguments(directory: Path, typed: list[str]) -> list[str]:
    """The sweep's command line after `trainer train`; a key that is typed again takes its new values.

    Raises:
        RunError: The sweep does not say how it was started.
        ConfigError: The command line names code to run, and may be a stranger's.
    """
    kept = runs.overrides(directory)
    if not set(FLAGS) & set(kept):
        raise RunError(
            f"{directory / 'overrides.yaml'} is not what a sweep writes", "start a new sweep: trainer train -m ..."
        )
    for word in kept:
        key = _key(word)
        code = key.endswith("_target_") or key.startswith("hydra") or word.startswith("-")
        if code and word not in (*FLAGS, *typed):
            raise ConfigError(
                f"{directory} was started with {word}, and a file names no code to run",
                f"if you trust it, type it again: trainer resume {directory} {word}",
            )
    new = {_key(word): word for word in typed}
    for group in registry.OF_A_SWEEP:
        if group in new:  # another way to run it has other keys
            kept = [word for word in kept if not _key(word).startswith(f"{group}.")]
    return [*[new.pop(_key(word), word) for word in kept], *new.values()]


def _key(word: str) -> str:
    return word.lstrip("+~").split("=", 1)[0]
