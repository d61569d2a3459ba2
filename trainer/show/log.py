"""A copy of the screen in a file, such as train.log."""

from contextlib import suppress
from pathlib import Path
from typing import IO

from trainer.system.inside import unlinked
from trainer.system.streams import warn


class Log:
    """A file of lines. When it cannot be written, it warns once and takes no more: no training ends for its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", opener=unlinked)  # noqa: SIM115
        except OSError as error:
            self._give_up(error)

    def write(self, *lines: str) -> None:
        """Add lines, which are on the disk's way when this returns."""
        if self._file is None:
            return
        try:
            self._file.writelines(f"{line}\n" for line in lines)
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:  # some network file systems write only when a file is closed
            self._file = None
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # closing tries again to write what could not be written
                file.close()
        warn(f"cannot write {self.path}: {error.strerror}; what follows is only shown here")
