"""The names that people give to runs and sweeps."""

import re

from trainer.system.errors import ConfigError
from trainer.system.shown import printable, shortened

LONGEST_NAME = 200  # bytes; most file systems take 255


def check_name(name: str | None) -> str | None:
    """The `name` of a new run or sweep, which names a folder below `output`, wherever the value comes from.

    Raises:
        ConfigError: It would lead elsewhere, or no folder can or should have it.
    """
    if name is None:
        return None
    for part in re.split(r"[/\\]", name):
        length = len(part.encode(errors="surrogatepass"))
        if part.strip() in ("", ".", "..") or printable(part) != part or length > LONGEST_NAME:
            raise ConfigError(
                f"name={shortened(name, 80, '...')}: it does not name a folder below output=",
                f"type a plain name of at most {LONGEST_NAME} bytes, name=first or name=group/first; "
                "and output=DIR for another place",
            )
    return name
