"""Images below a folder, found by what a table calls them."""

import os
from collections.abc import Iterator
from pathlib import Path

from trainer.data.folder.tree import Entry, inside
from trainer.system.errors import DataError

DEEPEST = 4  # folders below that of a table, in which its images are looked for unless it is said where they lie
MANY = 100_000  # folders that are looked through without being asked for


class Lookup:
    """The images in and below the folder `root`. Nothing outside of it is ever found, whatever a table says.

    A name that a table gives may be a path from `root` or the end of one, or begin with folders of another machine; and
    it may lack the extension.
    """

    def __init__(self, root: Path, bounded: bool) -> None:
        self.root = root
        self._paths: dict[str, Entry] = {}
        self._ends: dict[str, Entry | None] = {}  # None: of several images
        for number, (folder, entries) in enumerate(_folders(root, DEEPEST if bounded else None)):
            if bounded and number > MANY:
                raise DataError(f"{root} has more than {MANY:,} folders", "say where the images lie: data.root=DIR")
            for entry in entries:
                path = f"{folder}{entry.name}"
                self._paths[path] = entry
                for key in (path, os.path.splitext(path)[0]):
                    while key:
                        self._ends[key] = None if key in self._ends else entry
                        key = key.partition("/")[2]

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, name: str) -> Entry | None:
        """The image that `name` means; None if there is none.

        Raises:
            DataError: There are several.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if key in self._paths:
                return self._paths[key]
            if key in self._ends:
                found = self._ends[key]
                if found is None:
                    raise DataError(f"{self.root} has several images called {key}", "say which: data.root=DIR")
                return found
        return None


def _folders(root: Path, deepest: int | None) -> Iterator[tuple[str, list[Entry]]]:
    """The folders from `root` down, as the beginning of a path from there, with the images in each.

    A link to a folder is followed in `root` itself, and no deeper.
    """
    waiting = [("", root, 0)]
    while waiting:
        name, path, depth = waiting.pop()
        found = inside(path, links=path == root)
        yield name, [*found.images, *found.others]
        if deepest is None or depth < deepest:
            waiting += [(f"{name}{entry.name}/", Path(entry), depth + 1) for entry in found.folders]
