"""What is said of a table: what its plan cleans up, and what in it the plan does not know."""

from collections import Counter
from collections.abc import Sequence

from trainer.data.table import cells
from trainer.data.table.columns import Category, Column, Date, Dropped, Number
from trainer.data.table.notes import Notes, named, quoted
from trainer.data.table.sheet import Sheet
from trainer.system.errors import DataError
from trainer.system.shown import counted


def say_what_is_cleaned(plan: Sequence[Column], target: str, notes: Notes) -> None:
    """Note what a plan that has just been measured does to a table.

    Raises:
        DataError: The user is strict.
    """
    reasons: dict[str, list[str]] = {}
    for column in plan:
        if isinstance(column, Dropped) and column.name != target:
            reasons.setdefault(column.reason.partition(" (")[0], []).append(column.name)
    for reason, names in reasons.items():
        wanted = "data." in reason or "it says" in reason
        (notes.say if wanted else notes.clean)(f"dropped {named(names)}: {reason}")
    missing = [c.name for c in plan if isinstance(c, Number) and c.missing]
    if missing:
        notes.clean(f"missing numbers filled with the median: {named(missing)}", "fill them")
    missing = [c.name for c in plan if not isinstance(c, Number | Dropped) and c.missing]
    if missing:
        notes.clean(f"missing cells count as a value of their own: {named(missing)}", "fill them")
    rare = [c.name for c in plan if isinstance(c, Category) and c.rare]
    if rare:
        notes.clean(f"rare words count as one: {named(rare)}", "name it in data.categories, or make groups of them")


def refuse(sheet: Sheet, plan: Sequence[Column]) -> None:
    """Refuse the first cell of a sheet, column by column, that would be taken for missing, with its row.

    Raises:
        DataError: There is one.
    """
    for column in plan:
        series = sheet.columns.get(column.name)
        if series is None or not column.features:
            continue
        found = cells.tidy(series)
        if isinstance(column, Number):
            found = cells.numbers(found, column.comma).values
        elif isinstance(column, Date):
            found = cells.dates(found, column.form)
        missing = found.is_null().arg_true()
        if len(missing):
            row, cell = int(sheet.lines[missing[0]]), series[missing[0]]
            said = "missing" if cell in (None, "") else quoted(str(cell))
            more = f", and {len(missing) - 1:,} more are missing" if len(missing) > 1 else ""
            raise DataError(
                f"{sheet.path}, row {row}: column {quoted(column.name)} is {said}{more}",
                "fill it or remove the row; or leave data.strict=true out, and it is cleaned up",
            )


class Remarks:
    """What in the rows of a sheet a plan does not know; of a `trained` model's plan its words as well."""

    def __init__(self, sheet: Sheet, plan: Sequence[Column], target: str, trained: bool) -> None:
        known = {column.name for column in plan}
        self.absent = [c.name for c in plan if c.features and c.name not in sheet.columns]
        self.extra = [name for name in sheet.columns if name not in known and name != target]
        self.trained = trained
        self.strange: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()

    def count(self, column: Column, strange: int) -> None:
        """Take note of so many cells that the column does not understand."""
        if strange:
            (self.unseen if isinstance(column, Category) else self.strange)[column.name] += strange

    def say(self, notes: Notes) -> None:
        """Note all of it.

        Raises:
            DataError: The user is strict.
        """
        for name, number in self.strange.items():
            notes.clean(f"{quoted(name)}: {counted(number, 'cell')} of another kind taken for missing", "correct them")
        if self.trained and self.unseen:
            notes.say(
                f"words that the model was not trained on: {named([*self.unseen])} ({self.unseen.total():,} cells)"
            )
        if self.absent:
            notes.clean(f"there is no {named(self.absent)}: taken for missing in every row", "add it")
        if self.extra and self.trained:
            notes.say(f"columns that the model was not trained on: {named(self.extra)}")
