"""Entries of the cache that somebody has changed: what is loaded is what was stored; nothing runs, hangs or crashes."""

import json
import os
import pickle
import random
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.cache import stored
from trainer.data.cache_entry import Allocate, Declared, Numbers

from .figures import Figures

COUNT = 5000
SECONDS = 10  # a case that takes longer hangs
CHUNK = 50  # cases that a process tries; one that ends it is seen, and another process goes on
NOBODY = 65534
COUNTS = {"train": 12, "test": 5}
SHAPE = (4, 5, 3)
KINDS = {  # as CIFAR-10, MNIST and folders have them
    "named": Declared(dict.fromkeys(COUNTS, (None, *SHAPE)), 10, {"classes": 3}),
    "classes": Declared(dict.fromkeys(COUNTS, (None, *SHAPE)), 10),
    "images": Declared({name: (count, *SHAPE) for name, count in COUNTS.items()}),
    "with numbers": Declared(
        {name: (count, *SHAPE) for name, count in COUNTS.items()},
        facts={"reasons": lambda value: value == []},
        numbers={f"{name}-levels": Numbers((count, 2), -2, 65535) for name, count in COUNTS.items()},
    ),
}
Dice = random.Random


class Pwned:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def _honest(kind: str) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for number, (name, count) in enumerate(COUNTS.items()):
        source = np.random.default_rng(number)
        arrays[name] = source.integers(256, size=(count, *SHAPE)).astype("uint8")
        if KINDS[kind].classes is not None:
            arrays[f"{name}-targets"] = source.integers(10, size=count)
        if KINDS[kind].numbers:
            arrays[f"{name}-levels"] = source.integers(-2, 65536, size=(count, 2))
    return arrays


def _facts(kind: str) -> dict[str, Any]:
    if KINDS[kind].facts:
        return {"reasons": []}
    return {"classes": ["cat", "dog", "owl"]} if KINDS[kind].texts else {}


def _load(cache: Path, kind: str) -> Any:
    def make(allocate: Allocate) -> dict[str, Any]:
        for name, array in _honest(kind).items():
            allocate(name, array.shape, str(array.dtype))[:] = array
        return _facts(kind)

    return stored(str(cache), kind, {}, "", make, KINDS[kind])


# --- mutations ----------------------------------------------------------------------------------------


@dataclass
class Case:
    """An entry that is mutated; `blurred` when values were changed that no check can tell from the honest ones."""

    entry: Path
    outside: Path
    dice: Dice
    blurred: bool = False

    def file(self) -> Path:
        """One of the files of the entry, which may be gone already."""
        names = [path.name for path in self.entry.iterdir()] if self.entry.is_dir() else []
        return self.entry / self.dice.choice(sorted(names) or ["entry.json"])


def _replaced(path: Path) -> Path:
    """The same path, with nothing at it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def drop(case: Case) -> None:
    _replaced(case.file())


def truncate(case: Case) -> None:
    path = case.file()
    if path.is_file():
        os.truncate(path, case.dice.randrange(path.stat().st_size + 1))


def enlarge(case: Case) -> None:
    path = case.file()
    if path.is_file():
        os.truncate(path, path.stat().st_size + case.dice.choice([1, 60, 2**16, 2**40]))


def link(case: Case) -> None:
    path = case.file()
    moved = case.outside / f"moved-{path.name}"
    if path.exists() and not moved.exists() and case.dice.random() < 0.5:
        os.rename(path, moved)
    target = case.dice.choice([moved, "/dev/zero", "/dev/random", path, "/etc/passwd", case.outside, "nothing"])
    _replaced(path).symlink_to(target)


def special(case: Case) -> None:
    _put_special(_replaced(case.file()), case.dice)


def _put_special(path: Path, dice: Dice) -> None:
    kind = dice.randrange(4)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.touch()
    elif os.geteuid() == 0:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero; a system may refuse to open it


def mode(case: Case) -> None:
    path = case.dice.choice([case.file(), case.entry])
    if path.exists():
        os.chmod(path, case.dice.choice([0o666, 0o777, 0o000, 0o664]))


def owner(case: Case) -> None:
    path = case.dice.choice([case.file(), case.entry])
    if os.geteuid() == 0 and os.path.lexists(path):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def swap(case: Case) -> None:
    first, second, between = case.file(), case.file(), case.entry / "between"
    if first != second and os.path.lexists(first) and os.path.lexists(second):
        os.rename(first, between)
        os.rename(second, first)
        os.rename(between, second)


def header(case: Case) -> None:
    """A bit of the first 128 bytes of an array."""
    _flip(case, 0, 128)


def values(case: Case) -> None:
    """A bit of what an array holds."""
    _flip(case, 128, 2**20)


def _flip(case: Case, start: int, end: int) -> None:
    path = case.file()
    if path.suffix == ".npy" and path.is_file() and path.stat().st_size < 2**20:
        content = bytearray(path.read_bytes())
        if len(content) > start:
            content[case.dice.randrange(start, min(end, len(content)))] ^= 1 << case.dice.randrange(8)
            path.write_bytes(content)
            case.blurred |= start > 0


def retype(case: Case) -> None:
    """Another array in the place of one: another type, byte order, order of axes, shape, or objects."""
    path = case.file()
    if path.suffix != ".npy":
        return
    name, dice = path.stem, case.dice
    array = _honest("named").get(name, np.zeros(3, "uint8"))
    changes: list[Callable[[], Any]] = [
        *(lambda kind=kind: array.astype(kind) for kind in ("int8", "bool", "<i4", ">i8", "f4", "c8", "U3", "M8[s]")),
        lambda: np.array([Pwned(), None], dtype=object),
        lambda: np.asfortranarray(array),
        lambda: array[::-1, None],
        lambda: array[: dice.randrange(len(array) + 1)],
        lambda: np.repeat(array, dice.randrange(2, 9), axis=0),
        lambda: np.zeros(array.shape, [("a", "u1"), ("b", "i8")]),
        lambda: array.ravel(),
        lambda: np.zeros(()),
        lambda: array.astype("int64") + dice.choice([10**6, -(2**62), 10, -1]),
    ]
    _replaced(path)
    with path.open("wb") as file:
        np.save(file, dice.choice(changes)(), allow_pickle=True)
    if dice.random() < 0.2:
        path.write_bytes(pickle.dumps(Pwned()))


def rewrite(case: Case) -> None:
    """The list, as a structure: something in it is dropped, retyped, nested, enlarged, renamed or added."""
    path = case.entry / "entry.json"
    try:
        listed = json.loads(path.read_text()) if path.is_file() and path.stat().st_size < 2**20 else {}
    except (ValueError, RecursionError):  # it has been mutated before
        listed = {}
    dice = case.dice
    holder, key = _place(listed, dice)
    if key is None:
        holder = listed = {"listed": listed}
        key = "listed"
    before = holder[key]
    choice = dice.randrange(6)
    if choice == 0:
        del holder[key]
    elif choice == 1:
        holder[key] = dice.choice(
            [None, True, False, 0, -1, 1.0, 1e400, float("nan"), 10**30, 10**5000, "", "../x", "\ud800", [], {}, [[]]]
        )
        case.blurred = isinstance(before, str)
    elif choice == 2:
        holder[key] = dice.choice([[before], {"arrays": before}, [before, before], _deep(before, dice)])
    elif choice == 3:
        holder[key] = before * 1000 if isinstance(before, str | list) else {f"x{i}": before for i in range(1000)}
    elif choice == 4 and isinstance(holder, dict):
        holder[dice.choice(["../../outside/precious", "/etc/passwd", "train/../train", "", "x" * 300])] = holder.pop(
            key
        )
    else:
        (holder.append if isinstance(holder, list) else lambda value: holder.update(more=value))(before)
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        text = json.dumps(listed)
    finally:
        sys.set_int_max_str_digits(limit)
    _replaced(path).write_text(text)


def _place(value: Any, dice: Dice) -> tuple[Any, Any]:
    """Somewhere in a structure: what holds it, and its key or index there."""
    holder, key = None, None
    while isinstance(value, dict | list) and value and (key is None or dice.random() < 0.6):
        holder, key = value, dice.choice(sorted(value, key=str) if isinstance(value, dict) else range(len(value)))
        value = holder[key]
    return holder, key


def _deep(value: Any, dice: Dice) -> Any:
    for _ in range(dice.choice([5, 60, 900])):
        value = [value]
    return value


def garble(case: Case) -> None:
    """The list, as bytes."""
    path = case.entry / "entry.json"
    if path.is_file() and path.stat().st_size < 2**20:
        text = path.read_bytes()
        at = case.dice.randrange(len(text) + 1)
        changed = [
            text[at:],
            text[:at] + b"\xff" + text[at:],
            b"[" * 10**5,
            b" " * 2**21 + text,
            text + text,
            b"\0" * 9,
        ]
        path.write_bytes(case.dice.choice(changed))


def whole(case: Case) -> None:
    """Something else in the place of the entry, of what is unfinished, or of the lock."""
    family = case.entry.name.rpartition("-")[0]
    beside = [case.entry, *(case.entry.parent / f".{family}.{suffix}" for suffix in ("part", "lock"))]
    path = case.dice.choice(beside)
    if case.dice.random() < 0.5:
        _put_special(_replaced(path), case.dice)
    else:
        _replaced(path).symlink_to(case.dice.choice([case.outside, "nothing", path, "/dev/zero"]))


MUTATIONS: tuple[Callable[[Case], None], ...] = (
    *(drop, truncate, enlarge, link, special, mode, owner, swap, header, values, retype, retype),
    *(rewrite, rewrite, rewrite, rewrite, garble, whole),
)


# --- trying them --------------------------------------------------------------------------------------


def _try(number: int, folder: Path) -> dict[str, Any]:
    """One case: which mutations, and what was wrong with what was loaded; "" if nothing."""
    dice = Dice(number)
    kind = dice.choice(sorted(KINDS))
    cache, outside = folder / "cache", folder / "outside"
    outside.mkdir(parents=True)
    (outside / "precious").write_text("kept")
    path = _load(cache, kind).path
    case = Case(path, outside, dice)
    names = []
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        mutation = dice.choice(MUTATIONS)
        names.append(mutation.__name__)
        mutation(case)
        if not case.entry.is_dir() or case.entry.is_symlink():
            break
    found: dict[str, Any] = {"number": number, "kind": kind, "mutations": names, "wrong": ""}
    for time in ("first", "second"):
        loaded = _load(cache, kind)
        wrong = _wrong(loaded, kind, case.blurred)
        if wrong:
            found["wrong"] = f"the {time} time, {wrong}"
            return found
    found["kept"] = loaded.path is not None
    if (outside / "precious").read_text() != "kept" or (folder / "ran").exists():
        found["wrong"] = "it reached outside"
    return found


def _wrong(loaded: Any, kind: str, blurred: bool) -> str:
    honest = _honest(kind)
    if loaded.arrays.keys() != honest.keys():
        return f"the arrays were {sorted(loaded.arrays)}"
    for name, array in honest.items():
        got = np.array(loaded.arrays[name])  # reads every byte: what is mapped and not there is a SIGBUS
        if (got.dtype, got.shape) != (array.dtype, array.shape) and not blurred:
            return f"{name} was {got.dtype} {got.shape}"
        if got.dtype != array.dtype or got.shape[1:] != array.shape[1:] or not len(got):
            return f"{name} was {got.dtype} {got.shape}"
        if "targets" in name and not 0 <= got.min() <= got.max() < 10:
            return f"{name} went from {got.min()} to {got.max()}"
        if "levels" in name and not -2 <= got.min() <= got.max() < 2**16:
            return f"{name} went from {got.min()} to {got.max()}"
        if not blurred and not np.array_equal(got, array):
            return f"{name} had other values"
    if not blurred and loaded.facts != _facts(kind):
        return f"the facts were {loaded.facts}"
    return ""


def _process(numbers: range, folder: Path, results: int) -> None:
    """Try these cases in a process of their own, and write a line for each before and after it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in numbers:
        place = folder / str(number)
        place.mkdir(parents=True)
        os.chdir(place)
        os.write(results, f"{json.dumps({'begun': number})}\n".encode())
        signal.alarm(SECONDS)
        try:
            found = _try(number, place)
        except Exception as error:
            found = {"number": number, "mutations": [], "wrong": f"{type(error).__name__}: {error}"}
        signal.alarm(0)
        os.write(results, f"{json.dumps(found)}\n".encode())
        os.chdir(folder)
        shutil.rmtree(place, ignore_errors=True)


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` entries, each with one to three mutations of its files, its list or its place."""
    figures = Figures()
    folder.mkdir(parents=True, exist_ok=True)
    figures.counts |= {"entries": 0, "made anew or still whole": 0, "in memory": 0}
    done = 0
    while done < count:
        numbers = range(done, min(count, done + CHUNK))
        lines, status = _forked(numbers, folder)
        for found in (line for line in lines if "begun" not in line):
            figures.add("entries")
            figures.add("made anew or still whole" if found.get("kept") else "in memory")
            for name in found["mutations"]:
                figures.add(f"mutation {name}")
            figures.expect(not found["wrong"], f"case {found['number']} {found['mutations']}: {found['wrong']}")
        done = numbers.stop
        if status:
            last = max(line["begun"] for line in lines if "begun" in line)
            done = last + 1
            figures.add("entries")
            how = "hung" if status == -signal.SIGALRM else f"ended the process with {status}"
            figures.expect(False, f"case {last} {how}")
        if done % 1000 == 0:
            say(f"{done:,} of {count:,}")
    return figures


def _forked(numbers: range, folder: Path) -> tuple[list[dict[str, Any]], int]:
    notes = folder / "notes"
    with notes.open("wb") as file:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _process(numbers, folder, file.fileno())
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
    return [json.loads(line) for line in notes.read_text().splitlines()], os.waitstatus_to_exitcode(status)
