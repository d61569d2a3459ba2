"""What is written in the cells of a column: missing ones, numbers, yes and no, dates."""

from dataclasses import dataclass

import numpy as np
import polars as pl

LARGEST = 3.4028234e38  # of single precision
MISSING = ("", "na", "n/a", "n.a.", "#n/a", "nan", "null", "none", "?", "-", "--", "<na>", "nat", ".")
NEVER_CLASSES = tuple(word for word in MISSING if word != "none")  # "None" may be one of a target's words
_YES_NO = (
    *(("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("não", "sim"), ("nao", "sim")),
    *(("nein", "ja"), ("non", "oui"), ("no", "si"), ("no", "sí"), ("нет", "да")),
)
_NUMBER = (
    r"^\(?(?:R\$|US\$|(?i:USD|EUR|GBP|BRL|INR|CHF|JPY|AUD|CAD|Rs\.?|kr\.?)|\p{Sc})?\s*"
    r"([-+\x{2212}]?\s*(?:\p{Sc}\s*)?(?:\d[\d.,'\x{a0}\x{202f} ]*|[.,]\d+)(?:[eE][-+]?\d+)?)\s*"
    r"(%|\p{Sc}|[\p{L}/²³°]{1,8}\.?)?\)?$"
)
_UNIT = 0.8  # of the cells with a unit, those that have the same one
_DATES = 0.95  # of the cells of a column of dates, those that are dates
_DATE = (
    r"^\s*(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[- ]\p{L}{3,9}[- ,]+\d{2,4}|\p{L}{3,9} \d{1,2},? \d{4}|\d{1,2}:\d{2}"
    r"|\d{4}[-/]\d{2}$|\d{1,2}[-/]\d{4}$|\p{L}{3,9}[- ]\d{2,4}$|\d{8}T\d{6})"
)
MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b-%Y", "%b-%y", "%b %Y", "%B %Y")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%y", "%m/%d/%y")
_NAMED = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S%.f", "T%H:%M:%S%.f", "T%H:%M", " %I:%M %p", " %I:%M:%S %p")
FORMS = (
    *(day + time for day in (*_DAYS, *_NAMED) for time in _TIMES),
    *("%Y%m%dT%H%M%S", *MONTHS),
    *("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p"),
)


Cells = pl.Series | np.ndarray  # text, or numbers in double precision with NaN where one is missing


@dataclass(frozen=True)
class Numbers:
    """The numbers of a column, null where there is none; `comma` says that they are written with a decimal comma."""

    values: pl.Series
    comma: bool


def picked(series: pl.Series, rows: np.ndarray) -> Cells:
    """Some cells of a column; those of numbers as an array, for tables may have very many columns of them."""
    return floats(series)[rows] if series.dtype.is_numeric() else series.gather(pl.Series(rows))


def floats(series: pl.Series) -> np.ndarray:
    """A column of numbers in double precision, NaN where one is missing."""
    values: np.ndarray = (series if series.dtype == pl.Float64 else series.cast(pl.Float64)).to_numpy()
    return values


def tidy(cells: Cells, missing: tuple[str, ...] = MISSING) -> pl.Series:
    """Cells of a column as text without the words for missing ones, which become null; columns of numbers unchanged."""
    if isinstance(cells, np.ndarray):
        return pl.Series(cells, nan_to_null=True)
    if cells.dtype == pl.Boolean or cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype.is_numeric():
        values = cells.cast(pl.Float64)
        strange = values.is_nan()
        return values.set(strange.fill_null(False), None) if strange.any() else values
    if cells.dtype != pl.String:
        return cells
    return cells.set(cells.str.to_lowercase().is_in(missing).fill_null(False), None)


def plain(values: pl.Series) -> pl.Series:
    """Numbers in double precision without those that are not finite in single precision, which become null."""
    values = values.cast(pl.Float64)
    strange = ~(values.abs() <= LARGEST)
    return values.set(strange.fill_null(False), None) if strange.any() else values


def share_of(marks: pl.Series) -> float:
    """The share of the cells that are marked, among those that are not missing."""
    marks = marks.drop_nulls()
    return int(marks.sum()) / max(1, len(marks))


def numbers(text: pl.Series, comma: bool = False) -> Numbers:
    """The numbers that tidy cells hold, however written; `comma`: where it is open, a comma is the decimal sign.

    Read are `1.5e3`, `1,234.5`, `1.234,50`, `12,5`, `R$ 1 234`, `12%` (as 12), `87940 km`, `(1,234)` (as -1234).
    """
    if text.dtype.is_numeric():
        return Numbers(plain(text), False)
    if text.dtype != pl.String:
        return Numbers(pl.Series(text.name, [None] * len(text), dtype=pl.Float64), False)
    values = text.cast(pl.Float64, strict=False)
    left = values.is_null() & text.is_not_null()
    if not left.any():
        return Numbers(plain(values), False)
    parts = text.to_frame("text").select(
        pl.col("text").str.extract(_NUMBER, 1).alias("number"),
        pl.col("text").str.extract(_NUMBER, 2).alias("unit"),
        pl.col("text").str.starts_with("(").fill_null(False).alias("negative"),
    )
    number, unit = parts["number"], parts["unit"]
    units = unit.drop_nulls()
    if len(units):
        most = units.value_counts(sort=True).row(0)
        if most[1] < _UNIT * len(units) or (
            most[0] != "%" and most[1] < _UNIT * number.drop_nulls().len() and len(units) > 3
        ):
            number = number.set(unit.is_not_null(), None)  # other letters are no units: `12a`, `7b`
    number = number.str.replace_all(r"[\s'\x{a0}\x{202f}\p{Sc}]", "").str.replace("\u2212", "-")
    decimal = _comma(number, comma)
    point = (
        number.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        if decimal
        else (number.str.replace_all(",", "", literal=True))
    )
    values = point.cast(pl.Float64, strict=False)
    return Numbers(plain(values * (1 - 2 * parts["negative"].cast(pl.Float64))), decimal)


def _comma(number: pl.Series, comma: bool) -> bool:
    """Whether the comma is the decimal sign of numbers, whose digits may be grouped."""

    def share(pattern: str) -> float:
        return share_of(number.str.contains(pattern))

    if share(r"\.\d*,") > 0:
        return True
    if share(r",\d*\.") > 0:
        return False
    commas = share(",")
    if commas == 0:
        return share(r"^[-+]?\d{1,3}(\.\d{3}){2,}$") > 0
    if share(r"^[-+]?\d{1,3}(,\d{3})+$") == commas:
        return comma and share(r"^[-+]?\d{1,3}(,\d{3}){2,}$") == 0
    return True


def writes_commas(text: pl.Series) -> bool:
    """Whether a column of text has numbers whose comma can only be a decimal sign: `12,5`."""
    if text.dtype != pl.String:
        return False
    first = text.head(1000)
    return share_of(first.str.contains(r"^[-+]?\d+,\d+$")) > 0.5 and bool(
        first.str.contains(r"^[-+]?(\d+,(\d{1,2}|\d{4,})|\d{4,},\d+|0\d*,\d+)$").any()
    )


def yes_no(text: pl.Series) -> tuple[str, str] | None:
    """The two words, in lower case, by which a column of text says no and yes; None if it says something else."""
    if text.dtype != pl.String:
        return None
    words = text.drop_nulls().head(10_000).str.to_lowercase().unique()
    if len(words) != 2:
        return None
    pair = next((pair for pair in _YES_NO if set(pair) == set(words)), None)
    every = text.drop_nulls().str.to_lowercase()
    return pair if pair is not None and every.is_in(pair).all() else None


def dates(text: pl.Series, form: str) -> pl.Series:
    """The dates in tidy cells, as `form` says that they are written; null where there is none."""
    if text.dtype.is_temporal():
        return text.cast(pl.Datetime("us")) if text.dtype != pl.Time else _at_an_hour(text)
    if text.dtype != pl.String:
        return pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    cut = text.str.replace(r"(Z|[+-]\d{2}:?\d{2}|\s*UTC)$", "") if "%Y" in form and ":%M" in form else text
    if form in MONTHS:
        cut, form = "1 " + cut, "%d " + form
    elif "%Y" not in form and "%y" not in form:
        cut, form = "1970-01-01 " + cut, "%Y-%m-%d " + form
    try:
        return cut.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:  # a form of a file's that makes no date
        return pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))


def _at_an_hour(times: pl.Series) -> pl.Series:
    return (times.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))


def form_of_dates(text: pl.Series) -> str | None:
    """How the dates of a column are written; None if they are none, `own` if the file has a type for them.

    Where day and month cannot be told apart, the order of the rows decides, or else the day is first.
    """
    if text.dtype.is_temporal():
        return "own" if text.dtype != pl.Duration else None
    if text.dtype != pl.String:
        return None
    filled = text.drop_nulls()
    few = filled.head(200)
    if not len(few) or share_of(few.str.contains(_DATE)) < _DATES:
        return None
    fitting = []
    for form in FORMS:
        if dates(few, form).null_count() > (1 - _DATES) * len(few):
            continue
        found = dates(filled, form)
        read = 1 - found.null_count() / len(filled)
        if read >= _DATES:
            later = found.drop_nulls().diff().drop_nulls()
            fitting.append((read, bool((later >= later * 0).all()), form))
    return max(fitting, key=lambda f: f[:2])[2] if fitting else None
