"""A table as a data set: read, its target understood, cut into splits, and encoded by a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.data.sets.table import Table
from trainer.data.splits import Dataset, Split, Track
from trainer.data.table import cells, cutting, planning, reading, target
from trainer.data.table.columns import Column, understood
from trainer.data.table.encoding import Encoder, Rows
from trainer.data.table.notes import Notes, quoted
from trainer.data.table.planning import Wishes
from trainer.data.table.sheet import Sheet
from trainer.data.table.target import Target
from trainer.system.errors import DataError
from trainer.system.paths import expanded
from trainer.system.shown import counted

FEWEST = 3  # rows: one to train, one to validate and one to test


def load(config: Table, track: Track[object], trained: Mapping[str, Any] | None = None) -> Dataset:
    """Load a table as `config` says, with the plan of a model that was `trained`, whose columns are found by name.

    What a checkpoint says of its data makes this a table to evaluate the model on: it has the model's classes, and may
    have any number of rows. If `trained` has the plan alone, it is used if the table has just its columns.

    Raises:
        DataError: A file or column is missing, or the table cannot be used.
    """
    path = expanded(config.path)
    notes = Notes(path, config.strict)
    plan = tuple(map(understood, trained["plan"])) if trained is not None and trained.get("plan") else None
    evaluated = plan is not None and trained is not None and "columns" in trained
    classes = trained.get("classes") if evaluated and trained is not None else None
    if evaluated and not any(column.features for column in plan or ()):
        raise DataError(f"{path}: the model was not trained on a table with columns", "give data of its own kind")
    sheet = reading.read(path, config.target, notes)
    if plan is not None:
        sheet = by_position(sheet, plan, notes)
        if not evaluated and sheet.columns.keys() != {column.name for column in plan}:
            plan = None
    name = _target_name(sheet, config, evaluated)
    _check_rows(sheet, evaluated)
    task = config.task if not evaluated else "regression" if classes is None else "classification"
    comma = any(map(cells.writes_commas, sheet.columns.values()))
    found = target.read(sheet.columns[name], task, comma, notes, classes, evaluated)
    sheet = sheet.take(found.rows) if len(found.rows) < len(sheet) else sheet
    _check_rows(sheet, evaluated)
    parts = {part: _other(config, f"{part}_path", name, found, notes) for part in ("val", "test")}
    cut = cutting.cut(config, sheet, found, notes, parts["test"] is not None, evaluated)
    everything = Split(Rows(sheet), found.values, groups=cut.groups)
    for part, index in (("val", cut.val), ("test", cut.test)):
        if parts[part] is None and index is not None:
            parts[part] = everything.take(index)
    wishes = _wishes(config, sheet) if plan is None else Wishes()
    unused = planning.without_use(sheet, wishes, _beside(config, sheet, name)) if plan is None else {}
    assert parts["test"] is not None
    return Dataset(
        "table",
        train=everything.take(cut.train) if len(cut.train) < len(sheet) else everything,
        test=parts["test"],
        val=parts["val"],
        classes=found.classes,
        quantities=() if found.classes is not None else (name,),
        stratify=True,
        encode=Encoder(config, name, notes, unused, wishes, comma, plan, evaluated),
    )


def _check_rows(sheet: Sheet, evaluated: bool) -> None:
    if not len(sheet) and evaluated:
        raise DataError(f"{sheet.path} has no row with a target that the model knows", "give data of its own kind")
    if len(sheet) < FEWEST and not evaluated:
        rows = counted(len(sheet), "row")
        raise DataError(f"{sheet.path} has {rows} to use, and training, validation and test need one each", "add some")


def by_position(sheet: Sheet, plan: Sequence[Column], notes: Notes) -> Sheet:
    """The sheet with the plan's names, if only one of the two has a header line, and the number of columns fits."""
    names = [column.name for column in plan]
    if set(names) & set(sheet.columns) or len(names) != len(sheet.columns):
        return sheet
    if sheet.header and names != [str(i + 1) for i in range(len(names))]:
        return sheet
    notes.say("its columns are taken in their order, for only one of it and the training's table names them")
    return sheet.renamed(names)


def _target_name(sheet: Sheet, config: Table, evaluated: bool) -> str:
    if sheet.find(config.target) is None and evaluated:
        raise DataError(
            f"{sheet.path} has no column {quoted(config.target)}, the target: it cannot be evaluated",
            "give a table that has it, or name it as it is called there: data.target=...",
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
    own = target.read(sheet.columns[name], task, comma, notes, found.classes, trained=True)
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
