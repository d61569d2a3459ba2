"""How tables are written down: separators, headers, encodings, and what stands around the rows."""

import csv
import io
from pathlib import Path

import numpy as np
import polars as pl
import pretending
import pytest
import torch
from tables import dropped, load, of_column, plan, write

from trainer.data.table import blocks, reading
from trainer.data.table.notes import Notes
from trainer.system.errors import DataError

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(60, 2)).round(3)
ROWS = [[*map(float, row), "red" if i % 3 else "blue", "yes" if row[0] > 0 else "no"] for i, row in enumerate(VALUES)]
NAMES = ["width", "height", "colour", "y"]


def features(path: Path, target: str = "y", **keys: object) -> torch.Tensor:
    return load(path, target, **keys).train.inputs


@pytest.fixture
def plainly(tmp_path: Path) -> Path:
    return write(tmp_path / "plain.csv", NAMES, ROWS)


def text_of(rows: list[list[object]], separator: str, **options: object) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n", **options).writerows(rows)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=repr)
def test_other_separators_and_line_ends_are_recognised(
    tmp_path: Path, plainly: Path, separator: str, ending: str
) -> None:
    content = text_of([NAMES, *ROWS], separator).replace("\n", ending)
    (tmp_path / "t.txt").write_bytes(content.encode())
    assert torch.equal(features(tmp_path / "t.txt", strict=True), features(plainly))


def test_semicolons_with_decimal_commas(tmp_path: Path, plainly: Path) -> None:
    content = text_of([NAMES, *ROWS], ";").replace(".", ",")
    (tmp_path / "t.csv").write_text(content)
    assert torch.equal(features(tmp_path / "t.csv", strict=True), features(plainly))


def test_semicolons_with_decimal_commas_and_no_header(tmp_path: Path) -> None:
    content = "".join(f"{i / 7:.2f};{i / 3:.2f};{'a' if i % 2 else 'b'}\n".replace(".", ",") for i in range(30))
    (tmp_path / "t.csv").write_text(content)
    found = load(tmp_path / "t.csv", "-1")
    assert found.columns == ("1", "2")
    assert found.classes == ("a", "b")


def test_runs_of_blanks_and_no_header(tmp_path: Path) -> None:
    """As the housing data of StatLib."""
    rows = "".join(f" {a:8.4f}  {b:6.2f} {i % 3:2d}   {10 * a:7.3f}\n" for i, (a, b) in enumerate(VALUES))
    (tmp_path / "housing.data").write_text(rows)
    found = load(tmp_path / "housing.data", "-1")
    assert found.columns == ("1", "2", "3")
    assert found.classes is None
    assert any("no header line" in line for line in found.notes)


def test_blanks_with_a_tab_before_a_quoted_name(tmp_path: Path) -> None:
    """As the auto-mpg data of UCI."""
    rows = "".join(f'{a:.1f}   {b:.2f}   {"?" if i == 7 else i % 5}\t"a {i} name"\n' for i, (a, b) in enumerate(VALUES))
    (tmp_path / "auto-mpg.data").write_text(rows)
    found = load(tmp_path / "auto-mpg.data", "1")
    assert found.columns == ("2", "3", "3 is missing")
    assert list(dropped(found)) == ["1", "4"]


def test_doubled_tabs_are_one(tmp_path: Path) -> None:
    """As the seeds data of UCI."""
    rows = [f"{a}\t{b}\t{'' if i % 9 else chr(9)}{i % 3 + 1}\n" for i, (a, b) in enumerate(VALUES)]
    (tmp_path / "seeds.txt").write_text("".join(rows))
    found = load(tmp_path / "seeds.txt", "-1")
    assert found.classes == ("1", "2", "3")
    assert found.columns == ("1", "2")


def test_a_file_without_a_header_line_has_numbers_for_names(tmp_path: Path, plainly: Path) -> None:
    path = write(tmp_path / "t.csv", ROWS[0], ROWS[1:])
    found = load(path, "4")
    assert found.columns == ("1", "2", "3=blue", "3=red")
    assert torch.equal(found.train.inputs, features(plainly))
    with pytest.raises(DataError, match=r"has no column 'colour' \(it has no header line"):
        load(path, "colour")


@pytest.mark.parametrize(
    ("header", "target"),
    [
        (["0", "1", "2", "3"], "3"),  # pandas' names of columns that have none
        (["2001", "2002", "kind", "y"], "y"),
        (["a", "b", "c", "d"], "-1"),
    ],
)
def test_a_header_line_may_look_unusual(tmp_path: Path, header: list[str], target: str) -> None:
    found = load(write(tmp_path / "t.csv", header, ROWS), target)
    assert sorted(plan(found)) == sorted(header)
    assert len(found.train) + len(found.test) == len(ROWS)


def test_all_words_and_no_header(tmp_path: Path) -> None:
    rows = [[("p", "e")[i % 2], ("x", "b", "s")[i % 3], ("n", "y")[i % 2]] for i in range(40)]
    found = load(write(tmp_path / "mushroom.data", rows[0], rows[1:]), "1")
    assert found.classes == ("e", "p")
    assert len(found.train) + len(found.test) == 40


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "read as UTF-16"),
        ("utf-16-le", "read as UTF-16"),
        ("utf-16-be", "read as UTF-16"),
        ("cp1252", "not UTF-8: read as Windows-1252"),
        ("latin-1", "not UTF-8: read as Windows-1252"),
    ],
)
def test_encodings_are_recognised_and_said(tmp_path: Path, encoding: str, said: str) -> None:
    rows = [["Köln" if i % 2 else "São Paulo", f"{i}.5"] for i in range(40)]
    path = write(tmp_path / "t.csv", ["città", "y"], rows, encoding=encoding)
    found = load(path)
    assert found.columns == ("città=Köln", "città=São Paulo")
    assert [line for line in found.notes if "read as" in line] == ([f"t.csv: {said}"] if said else [])
    if said:
        with pytest.raises(DataError, match="read as"):
            load(path, strict=True)


def test_a_byte_that_cp1252_does_not_have_makes_it_latin_1(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,y\n" + b"".join(b"\xe9\x81,%d.5\n\xe8,%d.5\n" % (i, i) for i in range(20)))
    assert any("read as Latin-1" in line for line in load(tmp_path / "t.csv").notes)


def test_one_broken_name_does_not_make_a_file_latin_1(tmp_path: Path) -> None:
    content = "a,y\n" + "".join(f"{'Köln' if i % 2 else 'Århus'},{i}.5\n" for i in range(40))
    (tmp_path / "t.csv").write_bytes(content.encode().replace(b"K\xc3\xb6ln", b"K\xff\xb6ln", 1))
    found = load(tmp_path / "t.csv")
    assert "a=Århus" in found.columns
    assert found.notes[0] == "t.csv: 2 bytes are not UTF-8, and were read as \ufffd"


def test_what_stands_around_the_rows_is_left_out_and_said(tmp_path: Path, plainly: Path) -> None:
    body = text_of([NAMES, *ROWS], ",")
    (tmp_path / "t.csv").write_text(f"Survey of 2019\n\n{body},,,\n,,,\nTotal,12.5,,\nSource: somebody\n")
    found = load(tmp_path / "t.csv")
    assert torch.equal(found.train.inputs, features(plainly))
    assert found.notes == (
        "t.csv: left out 2 rows of nothing but separators",
        "t.csv: left out 1 line above the table",
        "t.csv: left out row 66 at the end, 'Total'",
        "t.csv: left out row 67 at the end, 'Source: somebody'",
    )


@pytest.mark.parametrize("above", ["# made by hand\n# in 2019, twice\n", "sep=;\n"], ids=["comments", "Excel"])
def test_comments_and_what_excel_reads_are_left_out_and_said(tmp_path: Path, plainly: Path, above: str) -> None:
    (tmp_path / "t.csv").write_text(above + text_of([NAMES, *ROWS], ";" if "sep" in above else ","))
    found = load(tmp_path / "t.csv")
    assert torch.equal(found.train.inputs, features(plainly))
    assert len(found.notes) == 1
    assert "above the table" in found.notes[0]


def test_a_header_behind_the_mark_of_a_comment(tmp_path: Path) -> None:
    """As numpy writes it."""
    np.savetxt(tmp_path / "t.txt", np.column_stack([VALUES, VALUES.sum(1)]), header="a b y")
    found = load(tmp_path / "t.txt")
    assert found.columns == ("a", "b")
    np.savetxt(tmp_path / "t.csv", np.column_stack([VALUES, VALUES.sum(1)]), header="a,b,y", delimiter=",")
    assert load(tmp_path / "t.csv").columns == ("a", "b")


def test_a_second_line_of_types_is_left_out_and_said(tmp_path: Path, plainly: Path) -> None:
    path = write(tmp_path / "t.csv", NAMES, [["FLOAT", "REAL", "CAT", "BOOL"], *ROWS])
    found = load(path)
    assert torch.equal(found.train.inputs, features(plainly))
    assert found.notes == ("t.csv: left out row 2, which names types",)


@pytest.mark.parametrize("header", ["", ","], ids=["not named", "named by nothing"])
def test_an_empty_column_at_the_end_of_each_line(tmp_path: Path, plainly: Path, header: str) -> None:
    lines = text_of([NAMES, *ROWS], ",").splitlines()
    (tmp_path / "t.csv").write_text("\n".join([lines[0] + header, *(line + "," for line in lines[1:])]) + "\n")
    found = load(tmp_path / "t.csv")
    assert torch.equal(found.train.inputs, features(plainly))
    assert len(found.notes) == 1


def test_a_header_that_ends_with_a_separator(tmp_path: Path, plainly: Path) -> None:
    lines = text_of([NAMES, *ROWS], ",").splitlines()
    (tmp_path / "t.csv").write_text("\n".join([lines[0] + ",", *lines[1:]]) + "\n")
    assert torch.equal(features(tmp_path / "t.csv"), features(plainly))


@pytest.mark.parametrize("header", [NAMES, ["", *NAMES], ["Unnamed: 0", *NAMES]], ids=["R", "pandas", "pandas twice"])
def test_the_names_or_numbers_of_the_rows_are_dropped_and_said(
    tmp_path: Path, plainly: Path, header: list[str]
) -> None:
    path = write(tmp_path / "t.csv", header, [[i, *row] for i, row in enumerate(ROWS)])
    found = load(path)
    assert torch.equal(found.train.inputs, features(plainly))
    assert len(dropped(found)) == 2
    assert [line for line in found.notes if "dropped" in line]


def test_two_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    rows = [[i % 5, i % 7, i % 3, f"{i}.5"] for i in range(40)]
    found = load(write(tmp_path / "t.csv", ["a", "a", "a.2", "y"], rows))
    assert found.columns == ("a", "a.3", "a.2")
    assert found.notes == ("t.csv: 1 column of the same name as another, now 'a.3'",)


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "number": [None, *map(float, range(1, 40))],
            "word": ["a", "b"] * 20,
            "flag": [True, False, None, True] * 10,
            "day": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True),
            "many": [[1, 2]] * 40,
            "y": [i % 2 for i in range(40)],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    found = load(tmp_path / "t.parquet")
    kinds = {name: column["kind"] for name, column in plan(found).items()}
    assert kinds == {"number": "number", "word": "category", "flag": "boolean", "day": "date", "y": "dropped"}
    assert found.classes == ("0", "1")
    assert found.columns[:2] == ("number", "number is missing")


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(99), "y": range(99)}).write_parquet(tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    for cut in (content[: len(content) // 2], content[:8], content[:-8] + b"\xff" * 8):
        (tmp_path / "t.parquet").write_bytes(cut)
        with pytest.raises(DataError, match=r"t\.parquet cannot be read"):
            load(tmp_path / "t.parquet")


def test_a_parquet_file_that_unpacks_to_more_than_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pl.DataFrame({"a": ["x"] * 1_000_000, "y": [1.5] * 1_000_000}).write_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 2**16
    pretending.free_memory(monkeypatch, 2**24)
    with pytest.raises(DataError, match=r"one column of .*t\.parquet and their order take 61\.0 MiB"):
        load(tmp_path / "t.parquet")


# --- large ones -------------------------------------------------------------------------------------------


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of any size are read in blocks, of a thousand bytes."""
    monkeypatch.setattr(reading, "_SMALL", 0)
    monkeypatch.setattr(blocks, "_BLOCK", 1000)
    monkeypatch.setattr(blocks, "_SAMPLE", 500)
    monkeypatch.setattr(blocks, "_LONGEST", 16_000)


def both(path: Path, monkeypatch: pytest.MonkeyPatch, target: str = "y") -> list[object]:
    """A table as it is read row by row, and in blocks."""
    found = []
    for small in (2**23, 0):
        monkeypatch.setattr(reading, "_SMALL", small)
        loaded = load(path, target)
        found.append((loaded.columns, loaded.plan, loaded.notes, loaded.classes, loaded.train.inputs.tolist()))
    return found


MANY = [
    *([f"{a:.3f}", f"{b:.3f}", "word" if i % 3 else 'say "so", he', i % 2] for i, (a, b) in enumerate(VALUES)),
]
TABLES = {
    "numbers and words": text_of([NAMES, *MANY], ","),
    "no header": text_of([["1.5", "2", "word", "0"], *MANY], ","),
    "a missing cell": text_of([NAMES, *MANY, ["", "NA", "word", "1"]], ","),
    "a late word among numbers": text_of([NAMES, *MANY, ["1.5", "unknown", "word", "1"]], ","),
    "late numbers that are words": text_of([NAMES, *MANY, *[[f"v{i % 3}", "1", "w", "1"] for i in range(60)]], ","),
    "semicolons and decimal commas": text_of([NAMES, *MANY], ";").replace(".", ","),
    "windows": text_of([NAMES, *MANY], ",").replace("\n", "\r\n"),
    "blank lines": text_of([NAMES, *MANY], ",") + "\n\n",
    "rows of separators": text_of([NAMES, *MANY], ",") + ",,,\n" * 3,
    "a total": text_of([NAMES, *MANY, ["Total", "5", "", ""]], ",").replace("Total", "1"),
    "a line within quotes": text_of([NAMES, *MANY, ["1", "2", "two\nlines", "1"]], ","),
    "latin-1": text_of([NAMES, *MANY, *[["1", "2", "café", "1"]] * 9], ","),
    "many quotes": text_of([NAMES, *MANY], ",", quoting=csv.QUOTE_ALL),
    "short rows at the end": text_of([NAMES, *MANY], ",") + "Source\n",
    "an empty end": text_of([NAMES, *MANY], ",").replace("\n", ",\n"),
    "classes that say none": text_of([NAMES, *[[*r[:3], "None" if r[3] else "some"] for r in MANY]], ","),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_large_table_is_read_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_blocks: None, kind: str
) -> None:
    path, target = tmp_path / "t.csv", "-1" if kind == "no header" else "y"
    path.write_bytes(TABLES[kind].encode("latin-1" if kind == "latin-1" else "utf-8"))
    small, large = both(path, monkeypatch, target)
    assert small == large


@pytest.mark.parametrize("kind", ["numbers and words", "a late word among numbers", "latin-1", "many quotes"])
def test_of_a_large_table_no_more_than_a_block_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_blocks: None, kind: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TABLES[kind].encode("latin-1" if kind == "latin-1" else "utf-8"))
    read: list[int] = []
    parsed = blocks._parsed
    monkeypatch.setattr(blocks, "_parsed", lambda block, *rest: read.append(len(block)) or parsed(block, *rest))
    notes = Notes(path, strict=False)
    reading.read(path, "y", notes)
    assert len(read) > 1
    assert max(read) < 1200


@pytest.mark.parametrize("beginning", [b"x\x01", b"x\x9c", b"x^", b"\x1f\x8b"])
def test_a_block_that_begins_as_packed_data_do_is_not_unpacked(
    tmp_path: Path, in_blocks: None, beginning: bytes
) -> None:
    row = beginning + b"aaaa,1.5\n"
    (tmp_path / "t.csv").write_bytes(b"a,y\n" + b"bbbb,2.5\n" * 20 + row * 400)
    found = load(tmp_path / "t.csv")
    assert len(found.train) + len(found.test) == 420


def test_the_numbers_of_names_are_kept_where_text_is_wanted(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["file", "y"], [[f"{i:04}", i % 2] for i in range(9)])
    sheet = reading.read(path, "y", Notes(path, strict=False), text=True)
    assert sheet.columns["file"].to_list() == [f"{i:04}" for i in range(9)]


@pytest.mark.parametrize("cell", ["1e999", "-1e39", "1" * 5000])
def test_a_number_beyond_single_precision_counts_as_missing(tmp_path: Path, cell: str) -> None:
    found = of_column(tmp_path / "t.csv", [*map(str, range(40)), cell])
    assert found.train.inputs.isfinite().all()
    assert found.test.inputs.isfinite().all()
    assert any("'a'" in line for line in found.notes)


def test_one_row_in_a_hundred_with_other_cells_is_left_out_and_said(tmp_path: Path) -> None:
    lines = [f"{i},{i % 7},{i / 3:.2f}" for i in range(200)]
    lines[5] += ",more"
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]))

    found = load(tmp_path / "t.csv")

    assert len(found.train) + len(found.test) == 199
    assert "t.csv: left out 1 row of too few or too many cells, first row 7" in found.notes
    lines[9] = lines[11] = "1,2"
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]))
    with pytest.raises(DataError, match="row 7: 4 cells, but the header has 3"):
        load(tmp_path / "t.csv")
