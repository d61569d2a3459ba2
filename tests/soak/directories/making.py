"""What the makers of hostile directories share: changing files as what they are, and where values come from."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from .arena import Maker, Place

RUN = (
    ("resume", "IT"),
    ("eval", "ckpt=IT"),
    ("inspect", "ckpt=IT"),
    ("train", "from=IT", "epochs=1", "plots=false", "tensorboard.enabled=false"),
)
SWEEP = (("resume", "IT"), ("resume", "IT", "sweep.dry_run=true"))
RESUME = (("resume", "IT"),)  # the only one that reads the texts in a directory


@dataclass(frozen=True)
class Case:
    """A base, what makes it hostile, and the commands that are run on it: by themselves all that read such a one."""

    base: str
    make: Maker
    verbs: tuple[tuple[str, ...], ...] = ()

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return self.verbs or (RUN if self.base.endswith("run") else SWEEP)


def also(*makers: Maker) -> Maker:
    """All of them, in turn."""

    def make(place: Place) -> None:
        for maker in makers:
            maker(place)

    return make


def filled(value: Any, place: Place) -> Any:
    """`value` with OUTSIDE and HERE in its texts replaced by where those are."""
    if isinstance(value, str):
        return value.replace("OUTSIDE", str(place.outside)).replace("HERE", str(place.here))
    if isinstance(value, dict):
        return {filled(k, place): filled(v, place) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, place) for v in value]
    return value


def put(tree: Any, path: str, value: Any) -> None:
    """Set what `path` (keys with dots between them, and places in lists) leads to, made where it is missing."""
    *parents, last = path.split(".")
    for key in parents:
        if isinstance(tree, list):
            tree = tree[int(key)]
        else:
            if not isinstance(tree.get(key), dict | list):
                tree[key] = {}
            tree = tree[key]
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value


# --- files --------------------------------------------------------------------------------------------


def holds(name: str, content: str | bytes | Callable[[], str | bytes]) -> Maker:
    """A file of this content."""

    def make(place: Place) -> None:
        made = content() if callable(content) else content
        if (place / name).is_dir():
            place.remove(name)
        place.write(name, filled(made, place))

    return make


def changes(name: str, change: Callable[[bytes], bytes]) -> Maker:
    """A file of a changed content."""
    return lambda place: place.write(name, change((place / name).read_bytes()))


def lacks(*names: str) -> Maker:
    def make(place: Place) -> None:
        for name in names:
            place.remove(name)

    return make


def in_yaml(name: str, values: dict[str, Any]) -> Maker:
    """A YAML file with other values at these paths."""

    def make(place: Place) -> None:
        tree = yaml.safe_load((place / name).read_text())
        for path, value in values.items():
            put(tree, path, filled(value, place))
        place.write(name, yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))

    return make


def config(**values: Any) -> Maker:
    """config.yaml with other values; two underscores stand for a dot."""
    return in_yaml("config.yaml", {key.replace("__", "."): value for key, value in values.items()})


def in_json(name: str, values: dict[str, Any], line: int | None = None) -> Maker:
    """A JSON file, or a line of one, with other values at these paths."""

    def make(place: Place) -> None:
        lines = (place / name).read_text().splitlines()
        tree = json.loads(lines[line] if line is not None else "\n".join(lines))
        for path, value in values.items():
            put(tree, path, filled(value, place))
        text = json.dumps(tree)
        place.write(name, "\n".join([*lines[:line], text, *lines[line + 1 :]]) + "\n" if line is not None else text)

    return make


def types(*words: str, instead: tuple[str, ...] = ()) -> Maker:
    """A sweep's overrides.yaml with these words added; those that begin with one of `instead` are left out."""

    def make(place: Place) -> None:
        before = yaml.safe_load((place / "overrides.yaml").read_text())
        kept = [word for word in before if not (instead and word.startswith(instead))]
        place.write("overrides.yaml", yaml.safe_dump([*kept, *filled(list(words), place)], allow_unicode=True))

    return make


# --- other things than files --------------------------------------------------------------------------


def link(name: str, target: str) -> Maker:
    """A symbolic link in place of a file or folder."""

    def make(place: Place) -> None:
        place.remove(name)
        (place / name).symlink_to(filled(target, place))

    return make


def fifo(name: str) -> Maker:
    def make(place: Place) -> None:
        place.remove(name)
        os.mkfifo(place / name)

    return make


def unix_socket(name: str) -> Maker:
    def make(place: Place) -> None:
        place.remove(name)
        parent = os.open((place / name).parent, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(f"/proc/self/fd/{parent}/{(place / name).name}")  # the path of a socket has 100 characters
        finally:
            os.close(parent)

    return make


def folder(name: str) -> Maker:
    def make(place: Place) -> None:
        place.remove(name)
        (place / name).mkdir()
        (place / name / "inner").mkdir()

    return make


def hard_link(name: str, target: str) -> Maker:
    """The same file as one elsewhere: nothing tells which of the two names is the stranger's."""

    def make(place: Place) -> None:
        place.remove(name)
        os.link(filled(target, place), place / name)

    return make


def sparse(name: str, size: int = 10 * 2**30, head: bytes = b"") -> Maker:
    """A file that is large and takes no space."""

    def make(place: Place) -> None:
        with (place / name).open("wb") as file:
            file.write(head)
            file.truncate(size)

    return make
