"""Paths as people type them."""

from pathlib import Path

from trainer.errors import ConfigError


def expanded(text: str) -> Path:
    """`text` as a path, with `~` and `~user` expanded where no file has just that name.

    Raises:
        ConfigError: there is no such user.
    """
    path = Path(text)
    if not text.startswith("~") or path.exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text}: no home directory of that name", f"if it is a file here, write ./{text}") from error
