"""A table as a data set: read, its target understood, cut into splits, and encoded by a plan."""

from collections.abc import Mapping
from typing import Any

from trainer.data.sets.table import Table
from trainer.data.splits import Dataset, Split, Track
from trainer.data.table import cells, cutting, planning, reading, target
from trainer.data.table.columns import understood
from trainer.data.table.encoding import Encoder, Rows
from trainer.data.table.notes import Notes, quoted
from trainer.data.table.planning import Wishes
from trainer.data.table.sheet import Sheet
from trainer.data.table.target import Target
from trainer.system.errors import DataError, did_you_mean
from trainer.system.paths import expanded

FEWEST = 3  # rows: one to train, one to validate and one to test


def load(config: Table, track: Track[object], trained: Mapping[str, Any] | None = None) -> Dataset:
    """Load a table as `config` says, or as a model was `trained` that is now evaluated on it.

    Raises:
        DataError: A file or column is missing, or the table cannot be used.
    """
    path = expanded(config.path)
    notes = Notes(path, config.strict)
    said = trained if trained is not None and trained.get("plan") is not None else {}
    plan = tuple(map(understood, said["plan"])) if said else None
    sheet = reading.read(path, config.target, notes)
    name = _target_name(sheet, config, plan is not None)
    comma = any(map(cells.writes_commas, sheet.columns.values()))
    found = target.read(sheet.columns[name], config.task, comma, notes, said.get("classes"))
    sheet = sheet.take(found.rows) if len(found.rows) < len(sheet) else sheet
    if len(sheet) < FEWEST:
        rows = "one row" if len(sheet) == 1 else f"{len(sheet)} rows"
        raise DataError(f"{path} has {rows}, and training, validation and test need one each", "add some")
    others = {key: _other(config, key, name, found, notes) for key in ("val_path", "test_path")}
    cut = cutting.cut(config, sheet, found, notes, others["test_path"] is not None)
    everything = Split(Rows(sheet), found.values, groups=cut.groups)
    wishes = _wishes(config, sheet)
    unused = planning.without_use(sheet, wishes, _beside(config, sheet, name))
    held_out = {"val": others["val_path"], "test": others["test_path"]}
    for part, index in (("val", cut.val), ("test", cut.test)):
        if held_out[part] is None and index is not None:
            held_out[part] = everything.take(index)
    assert held_out["test"] is not None
    return Dataset(
        "table",
        train=everything.take(cut.train) if len(cut.train) < len(sheet) else everything,
        test=held_out["test"],
        val=held_out["val"],
        classes=found.classes,
        stratify=True,
        encode=Encoder(name, notes, unused, wishes, comma, plan),
    )


def _target_name(sheet: Sheet, config: Table, trained: bool) -> str:
    if sheet.find(config.target) is None and trained:
        raise DataError(
            f"{sheet.path} has no column {quoted(config.target)}, the target: without it nothing can be evaluated",
            did_you_mean(config.target, sheet.columns),
        )
    name = sheet.column(config.target, "data.target")
    if len(sheet.columns) == 1:
        raise DataError(f"{sheet.path} has no column beside the target {quoted(name)}")
    return name


def _other(config: Table, key: str, name: str, found: Target, notes: Notes) -> Split | None:
    """The split in another file, `data.val_path` or `data.test_path`; None if there is none, or it has no target."""
    given = getattr(config, key)
    if given is None:
        return None
    notes = notes.of(expanded(given))
    sheet = reading.read(notes.path, config.target, notes)
    if name not in sheet.columns:
        if key == "val_path":
            raise DataError(f"{notes.path} has no column {quoted(name)}, the target", "give a file that has it")
        notes.say(f"it has no column {quoted(name)}, the target, so it is no test: a test split is cut from data.path")
        return None
    task = "classification" if found.classes is not None else "regression"
    comma = any(map(cells.writes_commas, sheet.columns.values()))
    own = target.read(sheet.columns[name], task, comma, notes, found.classes)
    if not len(own.rows):
        raise DataError(f"{notes.path} has no rows with a target {quoted(name)}")
    return Split(Rows(sheet.take(own.rows)), own.values)


def _beside(config: Table, sheet: Sheet, name: str) -> dict[str, str]:
    """Columns that are no features because they are something else."""
    found = {name: "it is the target"}
    for key, use in (("split", "it says the splits"), ("group", "it says the groups")):
        word = getattr(config, key)
        if word is not None:
            found[sheet.column(word, f"data.{key}")] = use
    return found


def _wishes(config: Table, sheet: Sheet) -> Wishes:
    def columns(key: str) -> set[str] | None:
        words = getattr(config, key)
        return None if words is None else {sheet.column(word, f"data.{key}") for word in words}

    return Wishes(columns("columns"), columns("drop") or (), columns("categories") or ())
