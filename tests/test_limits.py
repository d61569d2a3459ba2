"""Little memory, few files, huge tables, pipes for files, folders without permission: two lines each, and no hang."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pretending
import pytest
import torch
from conftest import Ran, Trainer
from folders import tree
from formats import write_mnist
from processes import Ended, Machine
from running import QUICK, SILENT

from trainer import data
from trainer.data.sets.table import Table
from trainer.data.splits import Dataset
from trainer.system.errors import DataError

LIMITED = """
import resource, sys, warnings
from trainer.cli.main import main
kind, size = sys.argv[1].split("=")
if kind == "memory":  # beyond what is there already
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize() + int(size)
warnings.simplefilter("ignore")  # of more workers than cores
limit = {"memory": resource.RLIMIT_AS, "files": resource.RLIMIT_NOFILE}[kind]
resource.setrlimit(limit, (int(size),) * 2)
sys.exit(main(sys.argv[2:]))
"""
proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what a process takes")


def said(ran: Ran | Ended, code: int, *words: str) -> None:
    """It ended so, with two lines at most, and the first has these words."""
    assert ran.code == code, ran.err
    lines = [line for line in ran.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) <= 2, ran.err
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in words), lines[0]


# --- what a process may take --------------------------------------------------------------------------


@proc
@pytest.mark.parametrize("options", [("model=mlp", "model.hidden=20000"), ("data.batch_size=null", "model=lenet")])
def test_memory_that_runs_out_is_one_line(machine: Machine, options: tuple[str, ...]) -> None:
    ended = machine.run(f"memory={60 * 2**20}", "train", *SILENT, "data=digits", *options, code=LIMITED)
    said(ended, 1, "out of memory")
    assert "data.batch_size" in ended.err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), ["out of memory"]),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)"),
            ["out of memory: 4,194,304.0 MiB more were needed"],
        ),
        (MemoryError("Unable to allocate 64.0 GiB for an array with shape (8,)"), ["out of memory: 64.0 GiB more"]),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ["out of memory"]),
        (OSError(errno.EMFILE, "Too many open files"), ["too many open files"]),
        (RuntimeError("can't start new thread"), ["no more threads or processes"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_what_a_machine_does_not_have_is_one_line_wherever_it_is_missed(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, error: Exception, words: list[str]
) -> None:
    def missed(*args: Any, **keys: Any) -> Any:
        raise error

    monkeypatch.setattr(torch.Tensor, "backward", missed)
    said(trainer("train", *QUICK), 1, *words)


def test_a_job_of_a_sweep_that_is_short_of_memory_fails_with_a_line(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missed(*args: Any, **keys: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(torch.Tensor, "backward", missed)
    ran = trainer("train", "-m", *QUICK, "seed=0,1")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "out of memory" in ran.out


@proc
def test_few_files_are_one_line(machine: Machine) -> None:
    """Before torch has started half of the workers."""
    streamed = (*QUICK, "data.placement=stream", "data.workers=20")
    ended = machine.run("files=64", "train", *streamed, code=LIMITED)
    said(ended, 1, "too many open files")


# --- tables -------------------------------------------------------------------------------------------


def table(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    path.write_text("\n".join(map(",".join, [header, *rows])) + "\n")
    return path


def load(path: Path, **keys: Any) -> Dataset:
    return data.load(Table(path=str(path), target="y", **keys))


def test_a_table_of_many_classes_has_them_all(tmp_path: Path) -> None:
    """In time by their number, and not by its square, which would be minutes."""
    found = load(table(tmp_path / "t.csv", ["a", "y"], [[str(i), f"w{i % 20000:05d}"] for i in range(40_000)]))
    assert found.classes == tuple(f"w{i:05d}" for i in range(20_000))
    assert found.val is not None
    assert found.plan is not None
    column = found.plan[0]
    for split in (found.train, found.val, found.test):
        rows = (split.inputs[:, 0].double() * column["deviation"] + column["mean"]).round().long()
        assert torch.equal(split.targets, rows % 20_000)


def test_of_very_many_columns_two_of_the_same_name_are_numbered(tmp_path: Path) -> None:
    """In time by their number, too, as is all else that is done with them."""
    header = [*(f"c{i}" for i in range(5_000)), "b", "b", "y"]
    rows = [[str(i * j % 7) for j in range(5_002)] + [f"{i}.5"] for i in range(6)]
    found = load(table(tmp_path / "t.csv", header, rows))
    assert found.notes[0] == "t.csv: 1 column of the same name as another, now 'b.2'"


def test_a_table_of_more_columns_than_can_be_used_is_refused(tmp_path: Path) -> None:
    line = ",".join(map(str, range(100_001))) + "\n"
    (tmp_path / "t.csv").write_text("c" + line.replace(",", ",c") + line * 3)
    with pytest.raises(DataError, match=r"t\.csv has 100,001 columns, and at most 100,000 can be used"):
        load(tmp_path / "t.csv")


def test_words_that_become_more_features_than_memory_holds_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = 40
    cells = [[f"w{(i + j) % 100}" for i in range(columns)] + [f"w{j % 2}"] for j in range(1000)]
    path = table(tmp_path / "warm.csv", [*(f"c{i}" for i in range(columns)), "y"], cells)
    pretending.free_memory(monkeypatch, 2**24)
    with pytest.raises(
        DataError, match=r"warm\.csv becomes 4,000 features of 1,000 rows, which take 30\.5 MiB, and"
    ) as caught:
        load(path, cache=None)
    assert "'c0' has 100 words" in caught.value.hint


def test_a_table_that_is_larger_than_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "huge.csv").open("w") as file:
        file.write("a,y\n")
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"the cells of .*huge\.csv take 3072\.0 GiB, and"):
        load(tmp_path / "huge.csv")


@pytest.mark.parametrize("column", ["a", "y"])
def test_a_number_of_thousands_of_digits_counts_as_missing(tmp_path: Path, column: str) -> None:
    rows = [[f"{i % 7}", f"{i}.5"] for i in range(40)]
    rows[4][column == "y"] = "9" * 5000
    path = table(tmp_path / "t.csv", ["a", "y"], rows)
    assert load(path).train.inputs.isfinite().all()
    with pytest.raises(DataError, match=r"t\.csv"):
        load(path, strict=True)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "x" * 2**24)
    pretending.free_memory(monkeypatch, 2**26)
    with pytest.raises(DataError, match=r"the cells of .*t\.csv take"):
        load(tmp_path / "t.csv")


def test_of_very_many_columns_a_few_are_shown(trainer: Trainer) -> None:
    header = [*(f"c{i}" for i in range(1000)), "y"]
    table(Path("wide.csv"), header, [[str(i * j % 7) for i in range(1001)] for j in range(9)])
    wide = ("model=linear", "data=csv", "data.path=wide.csv")
    ran = trainer("train", *SILENT, *wide, "data.target=qqq")
    said(ran, 2, "wide.csv has no column 'qqq'")
    assert ran.err.endswith(", and 901 more\n")
    assert len(ran.err) < 1000
    ran = trainer("inspect", *wide, "data.target=y")
    assert ran.code == 0, ran.err
    assert len(ran.out) < 4000


# --- what is no file ----------------------------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


NO_FILES = pytest.mark.parametrize("put", [_pipe, _zeros, _loop])


@NO_FILES
def test_a_table_that_is_no_file_is_refused(trainer: Trainer, put: Callable[[Path], None]) -> None:
    put(Path("t.csv"))
    said(trainer("train", *SILENT, "model=linear", "data=csv", "data.path=t.csv", "data.target=y"), 2, "t.csv")


@NO_FILES
@pytest.mark.parametrize("keys", [(), ("data.cache=null", "data.placement=stream", "data.workers=0")])
def test_an_image_that_is_no_file_is_refused(
    trainer: Trainer, put: Callable[[Path], None], keys: tuple[str, ...]
) -> None:
    tree(Path("pets"), {"cat": 4, "dog": 4})
    put(Path("pets/dog/zzz.png"))
    said(trainer("train", *SILENT, "model=linear", "data=folder", "data.path=pets", *keys), 2, "pets/dog/zzz.png")


def test_a_folder_that_is_a_link_to_what_it_lies_in_does_not_hang(trainer: Trainer) -> None:
    tree(Path("pets"), {"cat": 4, "dog": 4})
    Path("pets/dog/again").symlink_to("..")
    ran = trainer("train", *SILENT, "model=linear", "data=folder", "data.path=pets", "epochs=1")
    assert ran.code == 0, ran.err
    assert "dog/again: no image, passed over" in ran.out


@NO_FILES
def test_a_file_of_mnist_that_is_no_file_is_refused(trainer: Trainer, put: Callable[[Path], None]) -> None:
    write_mnist(Path("data/MNIST"))
    images = Path("data/MNIST/raw/train-images-idx3-ubyte")
    for name in (images, images.with_name(f"{images.name}.gz")):
        images.unlink(missing_ok=True)
        put(name)
        said(trainer("train", *SILENT, "model=linear", "data=mnist", "data.download=false"), 2, images.name)
        name.unlink()


# --- folders without permission -----------------------------------------------------------------------


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that may not be looked into, by their names; root may, so the system is made to say so."""
    names: list[str] = []

    def guarded(function: Callable[..., Any], below: bool) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **keys: Any) -> Any:
            parts = Path(path).parts if isinstance(path, str | Path) else ()
            if any(name in (parts[:-1] if below else parts) for name in names):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return function(path, *args, **keys)

        return call

    for name, below in (("scandir", False), ("listdir", False), ("stat", True), ("lstat", True), ("open", True)):
        monkeypatch.setattr(os, name, guarded(getattr(os, name), below))
    return names


@pytest.mark.parametrize("name", ["pets", "train", "dog"])
def test_a_folder_of_images_without_permission_is_named(trainer: Trainer, refused: list[str], name: str) -> None:
    tree(Path("pets/train"), {"cat": 4, "dog": 4})
    refused.append(name)
    ran = trainer("train", *SILENT, "model=linear", "data=folder", "data.path=pets")
    said(ran, 2, name, "ermission denied")


def test_a_table_in_a_folder_without_permission_is_named(trainer: Trainer, refused: list[str]) -> None:
    Path("closed").mkdir()
    table(Path("closed/t.csv"), ["a", "y"], [["1", "2"]] * 9)
    refused.append("closed")
    ran = trainer("train", *SILENT, "model=linear", "data=csv", "data.path=closed/t.csv", "data.target=y")
    said(ran, 2, "closed/t.csv", "ermission denied")


def test_a_data_root_without_permission_is_named(trainer: Trainer, refused: list[str]) -> None:
    write_mnist(Path("root/MNIST"))
    for name in ("root", "MNIST", "raw"):
        refused[:] = [name]
        ran = trainer("train", *SILENT, "model=linear", "data=mnist", "data.root=root", "data.download=false")
        said(ran, 2, name, "ermission denied")


def test_a_cache_without_permission_is_done_without(trainer: Trainer, refused: list[str]) -> None:
    Path("closed/cache").mkdir(parents=True)
    refused.append("closed")
    ran = trainer("train", *QUICK, "data.cache=closed/cache")
    assert (ran.code, ran.err) == (0, "")
    assert "none: Permission denied (closed/cache)" in " ".join(ran.out.split())
