"""How splits and classes lie in a folder: `train/CLASS/*` and `test/CLASS/*` in the usual words, or just `CLASS/*`."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.folder.notes import Notes, few
from trainer.data.folder.tree import Entry, Inside, has_images, inside, with_images
from trainer.system.errors import DataError
from trainer.system.paths import quoted
from trainer.system.shown import counted

# The longer ones first, for `train` begins `training`.
WORDS = {
    "validation": "val", "training": "train", "testing": "test", "train": "train", "valid": "val", "test": "test",
    "val": "val", "dev": "val",
}  # fmt: skip
SPLITS = {"train": "training", "val": "validation", "test": "test"}  # as they are called in sentences
LEAST = 2  # classes, and folders of the same names that make one a copy of what lies beside it


@dataclass(frozen=True)
class Layout:
    """The classes, and the folder of each class by its index, in each split that there is.

    A single tree, which is to be split at random, is all `train`, and then there is no `test`.
    """

    classes: tuple[str, ...]
    folders: dict[str, list[tuple[int, Path]]]


def find(path: Path, classes: Sequence[str] | None, notes: Notes) -> Layout:
    """Find splits and classes in the folder `path`. `classes` are those of a model that they are for.

    Raises:
        DataError: There are not two classes, or it cannot be decided which folder is what.
    """
    top, splits = _entered(path, notes)
    roots = {"train": top.path} if splits is None else {split: _nested(Path(e)) for split, e in splits.items()}
    if splits is not None:
        _say_splits(top, splits, roots, notes)
    found = {split: _class_folders(root, notes) for split, root in roots.items()}
    doubtful = classes is None  # otherwise, people look at what a model makes of other data, as far as that goes
    if classes is None:
        classes = tuple(sorted(entry.name for entry in found["train"]))
        if len(classes) < LEAST:
            raise _too_few(roots["train"], classes)
    folders = {
        split: _of_classes(roots[split], split, entries, classes, doubtful, notes) for split, entries in found.items()
    }
    for split in ("test", "val"):
        if split in folders and not folders[split]:
            del folders[split]
    if splits is not None and "test" not in folders:
        notes.say(f"{_short(roots['train'], path)} has no test split beside it: data.test_fraction of it becomes that")
    return Layout(tuple(classes), folders)


def split_of(word: str) -> str | None:
    """The split that a word means: `train`, `val` or `test`."""
    return WORDS.get(word.strip().casefold())


# --- splits -------------------------------------------------------------------------------------------


def _entered(path: Path, notes: Notes) -> tuple[Inside, dict[str, Entry] | None]:
    """What is in the folder that splits or classes lie in, and the folders of the splits; None: it is a single tree.

    A folder that is alone, and has nothing but folders of images in it, is only around them.
    """
    found = inside(path)
    while (splits := _splits(found)) is None and (only := _only(found)) is not None:
        found = inside(only)
    if found.path != path:
        line = f"{_short(found.path, path)} is taken, the only folder of images in {path.name}/"
        notes.clean(line, f"data.path={quoted(found.path)}")
    return found, splits


def _only(found: Inside) -> Path | None:
    """The one folder of images in a folder, if it has only folders of images in it."""
    folders = with_images(found) if not found.images else []
    if len(folders) != 1:
        return None
    within = inside(Path(folders[0]))
    return Path(folders[0]) if not within.images and with_images(within) else None


def _nested(root: Path) -> Path:
    """The folder that the classes of a split lie in: once nested in itself, as in `seg_train/seg_train/CLASS`."""
    while (only := _only(inside(root))) is not None:
        root = only
    return root


def _splits(found: Inside) -> dict[str, Entry] | None:
    """The folders of the splits by their names; None if no training split is among them.

    Raises:
        DataError: Two would be the same split, or there are several sets of them.
    """
    groups: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    for entry in found.folders:
        name = entry.name.casefold()
        for word, split in WORDS.items():
            before, is_in, after = name.partition(word)
            if is_in:
                groups.setdefault((before, after), {}).setdefault(split, []).append(entry)
    plain = groups.pop(("", ""), {})
    chosen = [plain] if "train" in plain else [g for g in groups.values() if "train" in g and len(g) > 1]
    if not chosen:
        _check_has_training(found, plain)
        return None
    if len({frozenset(entry.name for entries in group.values() for entry in entries) for group in chosen}) > 1:
        names = few(sorted(entry.name for group in chosen for entry in group["train"]))
        raise DataError(f"{found.path} has several training splits: {names}", "data.path=... with one of them in it")
    splits = {split: chosen[0][split] for split in SPLITS if split in chosen[0]}
    folders = {}
    for split, entries in splits.items():
        folders[split], *more = [entry for entry in entries if has_images(entry.path)] or entries[:1]
        if more:
            raise DataError(
                f"{found.path}: {folders[split].name}/ and {more[0].name}/ would each be the {SPLITS[split]} split",
                "remove one, or move it elsewhere",
            )
    return None if _are_classes(found, folders) else folders


def _are_classes(found: Inside, splits: dict[str, Entry]) -> bool:
    """Whether folders that are called as splits are classes: a `train` of images beside, say, a `bus` of images."""
    within = inside(Path(splits["train"]))
    beside = [entry for entry in found.folders if entry not in splits.values()]
    return bool(within.images) and not with_images(within) and any(inside(Path(entry)).images for entry in beside)


def _check_has_training(found: Inside, plain: dict[str, list[Entry]]) -> None:
    """Refuse splits without one to train on: they would become the classes."""
    entries = [entry for alike in plain.values() for entry in alike if has_images(entry.path)]
    alone = len(with_images(found)) == 1
    if len(entries) > 1 or (entries and not alone and with_images(inside(Path(entries[0])))):
        names = " and ".join(sorted(f"{entry.name}/" for entry in entries))
        raise DataError(f"{found.path} has {names}, but no train/", "name the folder of the training split train/")


def _say_splits(top: Inside, splits: dict[str, Entry], roots: dict[str, Path], notes: Notes) -> None:
    renamed = [
        f"{_short(roots[split], top.path)} is the {what} split"
        for split, what in SPLITS.items()
        if split in roots and roots[split] != top.path / split
    ]
    if renamed:
        notes.clean("; ".join(renamed), "rename them to train/, val/ and test/")
    beside = [f"{entry.name}/" for entry in top.folders if entry not in splits.values()]
    if beside:
        notes.say(f"{few(beside)} beside the splits: passed over")


# --- classes ------------------------------------------------------------------------------------------


def _class_folders(root: Path, notes: Notes) -> list[Entry]:
    """The folders of images in the folder of a split; images beside them and folders without any are passed over."""
    found = inside(root)
    folders = with_images(found)
    _check_case(folders)
    names = {entry.name.casefold() for entry in folders}
    copies = [entry for entry in folders if len(names & _names_in(entry)) >= LEAST]
    for entry in copies:
        notes.clean(f"{notes.name(entry.path)} has folders called as the classes beside it: passed over", "remove it")
    for entry in found.folders:
        if entry not in folders and folders:
            notes.clean(f"{notes.name(entry.path)} has no images: passed over", "add some, or remove it")
    folders = [entry for entry in folders if entry not in copies]
    if found.images and folders:
        names_of = few([entry.name for entry in found.images])
        notes.clean(
            f"{notes.name(root)}: {counted(len(found.images), 'image')} in no class's folder ({names_of}): passed over",
            "move them into one, or remove them",
        )
    return folders


def _of_classes(
    root: Path, split: str, entries: list[Entry], classes: Sequence[str], doubtful: bool, notes: Notes
) -> list[tuple[int, Path]]:
    """The folders of a split by the index of their class; none if its images carry no classes.

    Raises:
        DataError: None is a class; or one is `doubtful`, for it may be another's name for a class that is missing.
    """
    alike = {name.casefold(): index for index, name in enumerate(classes)}
    exact = {name: index for index, name in enumerate(classes)}
    places = {entry: exact.get(entry.name, alike.get(entry.name.casefold())) for entry in entries}
    known = sorted((index, Path(entry)) for entry, index in places.items() if index is not None)
    unknown = [entry.name for entry, index in places.items() if index is None]
    missing = [name for name, index in exact.items() if index not in dict(known)]
    spelt = [folder.name for _, folder in known if folder.name not in exact]
    if not known and len(unknown) <= 1 and split != "train":
        what = "has images without classes" if has_images(os.fspath(root)) else "has no images"
        line = f"{notes.name(root)} {what}: it is no {SPLITS[split]} split"
        notes.clean(line, "put images into one folder per class, or remove it")
        return []
    if not known and not unknown:
        raise _too_few(root, [])
    if unknown and missing and (doubtful or not known):
        raise DataError(
            f"{root} has {few(unknown)}, which training has not, and not {few(missing)}, which it has",
            "rename the folders alike, or remove those that are no class",
        )
    if spelt:
        notes.clean(f"{notes.name(root)}: {few(spelt)}, in training spelt otherwise", "rename the folders alike")
    if unknown:
        notes.clean(f"{notes.name(root)}: {few(unknown)} left out, for training has no such class", "remove it")
    if missing:
        notes.clean(f"{notes.name(root)} has no images of {few(missing)}", "add some")
    return known


def _names_in(entry: Entry) -> set[str]:
    with os.scandir(entry) as entries:
        return {below.name.casefold() for below in entries if below.is_dir(follow_symlinks=False)}


def _check_case(entries: Iterable[Entry]) -> None:
    """Refuse classes whose names differ only in case: they may be one, and are on macOS and Windows."""
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.name.casefold(), entry.name)
        if other != entry.name:
            raise DataError(
                f"{entry.path} and {other} beside it differ only in case: are they one class?",
                "move their images into one folder, or rename one of them",
            )


def _too_few(root: Path, classes: Sequence[str]) -> DataError:
    found = inside(root)
    empty = [entry for entry in found.folders if entry.name not in classes]
    hint = "one folder per class, images in it"
    if empty:
        return DataError(f"{empty[0].path} has no images, and classification needs two classes", hint)
    if found.images:
        hint += "; or a table of images and their classes: data=images data.path=TABLE"
    what = f"one folder, '{classes[0]}'" if classes else "no folder"
    return DataError(f"{root} has {what} in it, and classification needs two classes", hint)


def _short(path: Path, top: Path) -> str:
    """A folder as it is seen from `top`."""
    return f"{path.relative_to(top)}/" if path != top else f"{path.name}/"
