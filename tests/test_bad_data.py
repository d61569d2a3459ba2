"""Data that are wrong end a training before it begins: two lines, the file's name in them, and nothing left behind."""

import gzip
import hashlib
import os
import pickle
import struct
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pretending
import pytest
from composing import composed
from conftest import Ran, Trainer
from folders import picture, tree
from formats import chunk, idx, png, write_cifar10, write_mnist
from PIL import Image

from trainer import data
from trainer.data.loading import load_dataset
from trainer.data.sets.table import Table
from trainer.system.errors import DataError

Damage = Callable[[], object]
RAW = Path("data/MNIST/raw")
BATCHES = Path("data/cifar-10-batches-py")


def refused(ran: Ran, before: set[Path], file: str, reason: str) -> None:
    """What every mistake in the data is answered with."""
    lines = ran.err.splitlines()
    assert ran.code == 2, ran.err
    assert len(lines) <= 2, ran.err
    assert lines[0].startswith("error: ")
    assert file in lines[0]
    assert reason in lines[0]
    assert "Traceback" not in ran.err
    assert {path for path in Path().rglob("*") if not path.name.endswith(".lock")} == before


def command(trainer: Trainer, options: str, file: str, reason: str) -> None:
    before = set(Path().rglob("*"))
    refused(trainer("train", *options.split(), "model=linear"), before, file, reason)


def check(options: str, file: str, reason: str) -> None:
    """The same without a command line: other files of a kind of which a command shows some."""
    before = set(Path().rglob("*"))
    with pytest.raises(DataError) as caught:
        load_dataset(composed("train", *options.split(), "model=linear"))
    error = caught.value
    refused(Ran(error.exit_code, "", f"error: {error.message}\n  {error.hint}\n"), before, file, reason)


# --- IDX files ------------------------------------------------------------------------------------------


def _cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def _append(path: Path, extra: bytes) -> None:
    path.write_bytes(path.read_bytes() + extra)


def _rewrite(path: Path, array: np.ndarray) -> None:
    path.write_bytes(idx(array))


def _header(path: Path, *shape: int) -> None:
    """Another header on the same bytes."""
    content = path.read_bytes()
    start = 4 + 4 * len(shape)
    path.write_bytes(content[:4] + struct.pack(f">{len(shape)}I", *shape) + content[start:])


def _compress(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(change(gzip.compress(path.read_bytes())))
    path.unlink()


IMAGES, LABELS = RAW / "train-images-idx3-ubyte", RAW / "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = RAW / "t10k-images-idx3-ubyte", RAW / "t10k-labels-idx1-ubyte"
LATE_77 = np.where(np.arange(30) == 17, 77, 3)
IDX: dict[str, tuple[Damage, str, str]] = {
    "short images": (lambda: _cut(IMAGES, 100), "train-images-idx3-ubyte", "its header says 30 x 28 x 28"),
    "one byte too few": (lambda: _cut(TEST_IMAGES, 1), "t10k-images-idx3-ubyte", "is cut short"),
    "short labels": (lambda: _cut(LABELS, 1), "train-labels-idx1-ubyte", "is cut short"),
    "oversized images": (lambda: _append(IMAGES, b"x"), "train-images-idx3-ubyte", "is too long"),
    "oversized labels": (lambda: _append(TEST_LABELS, b"abc"), "t10k-labels-idx1-ubyte", "is too long"),
    "label 77": (lambda: _rewrite(LABELS, LATE_77), "train-labels-idx1-ubyte", "label 18 of 30 is 77"),
    "label 10": (lambda: _rewrite(TEST_LABELS, np.full(20, 10)), "t10k-labels-idx1-ubyte", "label 1 of 20 is 10"),
    "more images than labels": (lambda: _rewrite(LABELS, np.zeros(7)), "train-labels-idx1-ubyte", "has 7 labels"),
    "more labels than images": (lambda: _rewrite(LABELS, np.zeros(31)), "train-labels-idx1-ubyte", "has 31 labels"),
    "no samples": (lambda: _rewrite(IMAGES, np.zeros((0, 28, 28))), "train-images-idx3-ubyte", "without samples"),
    "images of another size": (
        lambda: _rewrite(IMAGES, np.zeros((30, 14, 56))), "train-images-idx3-ubyte", "are 14 x 56, not 28 x 28"
    ),
    "labels for images": (
        lambda: IMAGES.write_bytes(LABELS.read_bytes()), "train-images-idx3-ubyte", "begins with '00 00 08 01'"
    ),
    "wrong magic": (lambda: IMAGES.write_bytes(b"\0\0\x0d\x03" + bytes(99)), "train-images-idx3-ubyte", "00 00 0d 03"),
    "a web page": (lambda: LABELS.write_bytes(b"<html>404</html>"), "train-labels-idx1-ubyte", "begins with"),
    "an empty file": (lambda: TEST_LABELS.write_bytes(b""), "t10k-labels-idx1-ubyte", "is empty"),
    "half a header": (lambda: IMAGES.write_bytes(b"\0\0\x08\x03\0\0\0\x1e\0\0"), "train-images", "is cut short"),
    "a header that promises too much": (
        lambda: _header(IMAGES, 2**32 - 1, 28, 28), "train-images-idx3-ubyte", "more than there is memory"
    ),
    "a missing file": (lambda: TEST_LABELS.unlink(), "t10k-labels-idx1-ubyte", "no such file"),
    "a folder in a file's place": (
        lambda: (TEST_LABELS.unlink(), TEST_LABELS.mkdir()), "t10k-labels-idx1-ubyte", "Is a directory"
    ),
    "a truncated .gz": (
        lambda: _compress(IMAGES, lambda b: b[:-2000]), "train-images-idx3-ubyte.gz", "ended before"
    ),
    "a .gz with a wrong checksum": (
        lambda: _compress(LABELS, lambda b: b[:-8] + b"\0" * 4 + b[-4:]), "train-labels-idx1-ubyte.gz", "CRC"
    ),
    "a .gz that is none": (lambda: _compress(LABELS, lambda b: b"<html>"), "train-labels-idx1-ubyte.gz", "gzip"),
    "a .gz under a plain name": (
        lambda: LABELS.write_bytes(gzip.compress(LABELS.read_bytes())), "train-labels-idx1-ubyte", "begins with '1f 8b"
    ),
    "label 77 in a .gz": (
        lambda: (_rewrite(LABELS, LATE_77), _compress(LABELS, bytes)), "train-labels-idx1-ubyte.gz", "is 77"
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", IDX)
def test_mnist(empty: Path, wrong: str) -> None:
    write_mnist(Path("data/MNIST"))
    damage, file, reason = IDX[wrong]
    damage()
    check("data=mnist", file, reason)


def test_fashion_mnist_is_looked_at_as_well(trainer: Trainer) -> None:
    write_mnist(Path("data/FashionMNIST"))
    _rewrite(Path("data/FashionMNIST/raw/train-labels-idx1-ubyte"), LATE_77)
    command(trainer, "data=fashion_mnist", "data/FashionMNIST/raw/train-labels-idx1-ubyte", "label 18 of 30 is 77")


def test_a_file_that_goes_bad_is_not_hidden_by_the_cache(trainer: Trainer) -> None:
    """Not even where its size and its time of change stay what they were."""
    write_mnist(Path("data/MNIST"))
    options = ("data=mnist", "model=linear", "epochs=1", "plots=false", "tensorboard.enabled=false", "output=runs")
    assert trainer("train", *options).code == 0
    before, content = LABELS.stat(), LABELS.read_bytes()
    LABELS.write_bytes(content[:-1] + b"\x4d")
    os.utime(LABELS, ns=(before.st_atime_ns, before.st_mtime_ns))
    command(trainer, "data=mnist", "train-labels-idx1-ubyte", "label 30 of 30 is 77")


# --- CIFAR-10 -------------------------------------------------------------------------------------------


class Runs:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("it-ran",)


def _trusting(patch: pytest.MonkeyPatch) -> None:
    """torchvision knows no checksums."""
    from torchvision.datasets import CIFAR10

    for key in ("train_list", "test_list"):
        patch.setattr(CIFAR10, key, [[name, None] for name, _ in getattr(CIFAR10, key)])
    patch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": None})
    patch.setattr(CIFAR10, "tgz_md5", None)


def _batch(name: str, **changed: object) -> None:
    entry = pickle.loads((BATCHES / name).read_bytes()) | changed
    (BATCHES / name).write_bytes(pickle.dumps(entry))


def _archive(patch: pytest.MonkeyPatch, leave_out: str = "", cut: int = 0) -> None:
    from torchvision.datasets import CIFAR10

    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path in sorted(BATCHES.iterdir()):
            if path.name != leave_out:
                tar.add(path, f"{BATCHES.name}/{path.name}")
            path.unlink()
    BATCHES.rmdir()
    whole = content.getvalue()
    patch.setattr(CIFAR10, "tgz_md5", hashlib.md5(whole).hexdigest())
    Path("data/cifar-10-python.tar.gz").write_bytes(whole[: len(whole) - cut])


CIFAR: dict[str, tuple[Callable[[pytest.MonkeyPatch], object], str, str]] = {
    "a changed batch": (lambda _: _append(BATCHES / "data_batch_3", b"x"), "data_batch_3", "is damaged"),
    "a truncated batch": (lambda _: _cut(BATCHES / "test_batch", 50), "test_batch", "is damaged"),
    "changed names": (lambda _: _append(BATCHES / "batches.meta", b"x"), "batches.meta", "is damaged"),
    "a missing batch": (lambda _: (BATCHES / "data_batch_5").unlink(), "data_batch_5", "No such file"),
    "a truncated archive": (lambda patch: _archive(patch, cut=500), "cifar-10-python.tar.gz", "is damaged"),
    "an archive of other files": (
        lambda patch: (_batch("data_batch_2", labels=[9] * 5), _archive(patch)), "data_batch_2", "is damaged"
    ),
    "an archive that is none": (
        lambda patch: (_archive(patch), Path("data/cifar-10-python.tar.gz").write_bytes(b"<html>")),
        "cifar-10-python.tar.gz", "is damaged",
    ),
    "a pickle that runs code": (lambda _: _batch("data_batch_1", more=Runs()), "data_batch_1", "is damaged"),
    "a pickle that runs code in an archive": (
        lambda patch: (_batch("data_batch_1", more=Runs()), _archive(patch)), "data_batch_1", "is damaged"
    ),
    "names that run code": (
        lambda _: (BATCHES / "batches.meta").write_bytes(pickle.dumps(Runs())), "batches.meta", "is damaged"
    ),
    "a pickle that runs code and has no checksum": (
        lambda patch: (_batch("data_batch_1", more=Runs()), _trusting(patch)), "data_batch_1", "is damaged"
    ),
    "label 77 in a batch": (lambda _: _batch("test_batch", labels=[0, 1, 2, 3, 77]), "test_batch", "is damaged"),
    "fewer labels than images": (lambda _: _batch("data_batch_4", labels=[1, 2]), "data_batch_4", "is damaged"),
    "images of floats": (lambda _: _batch("data_batch_4", data=np.zeros((5, 3072))), "data_batch_4", "is damaged"),
    "no labels": (
        lambda _: (BATCHES / "test_batch").write_bytes(pickle.dumps({"data": 1})), "test_batch", "is damaged"
    ),
    "no pickle": (lambda _: (BATCHES / "test_batch").write_bytes(b"<html>"), "test_batch", "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", CIFAR)
def test_cifar10(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    write_cifar10(BATCHES, monkeypatch)
    damage, file, reason = CIFAR[wrong]
    damage(monkeypatch)
    command(trainer, "data=cifar10", file, reason)
    assert not Path("it-ran").exists()


# --- folders of images ------------------------------------------------------------------------------------

CAT = Path("photos/train/cat")
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def _save(name: str, image: Image.Image, **options: object) -> None:
    image.save(CAT / name, **options)


def _noise(size: tuple[int, int] = (90, 90)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(size[1], size[0], 3)).astype(np.uint8))


def _shortened(name: str) -> None:
    _save(name, _noise())
    content = (CAT / name).read_bytes()
    (CAT / name).write_bytes(content[: len(content) // 2])


def _huge(name: str, side: int) -> None:
    """A small file that says that it has so many pixels."""
    pixels = png(np.zeros((1, 1, 1)), 0)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    (CAT / name).write_bytes(pixels[:8] + header + pixels[8 + len(header) :])


def _frames(name: str) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "green", "blue")]
    _save(name, frames[0], save_all=True, append_images=frames[1:])


def _damaged_checksum(name: str) -> None:
    _save(name, _noise())
    content = bytearray((CAT / name).read_bytes())
    content[len(content) // 2] ^= 0x55
    (CAT / name).write_bytes(content)


def _beyond_sixteen_bits() -> None:
    _save("deep.tif", Image.fromarray(np.array([[0, 70_000]], np.int32)))


def _negative() -> None:
    _save("deep.tif", Image.fromarray(np.array([[0, -1]], np.int32)))


def _emptied(path: str) -> None:
    for file in Path(path).iterdir():
        file.unlink()


PHOTOS: dict[str, tuple[Damage, str, str]] = {
    "an empty image": (lambda: (CAT / "none.png").touch(), "cat/none.png", "it is none of JPEG, PNG"),
    "a text called .jpg": (lambda: (CAT / "x.jpg").write_text("no picture"), "cat/x.jpg", "it is none of JPEG"),
    "PostScript called .jpg": (lambda: (CAT / "x.jpg").write_bytes(POSTSCRIPT), "cat/x.jpg", "it is none of JPEG"),
    "a truncated JPEG": (lambda: _shortened("x.jpg"), "cat/x.jpg", "truncated"),
    "a truncated PNG": (lambda: _shortened("x.png"), "cat/x.png", "truncated"),
    "a truncated GIF": (lambda: _shortened("x.gif"), "cat/x.gif", "truncated"),
    "a truncated BMP": (lambda: _shortened("x.bmp"), "cat/x.bmp", "truncated"),
    "a truncated TIFF": (lambda: _shortened("x.tif"), "cat/x.tif", "cannot be read as an image"),
    "a truncated WebP": (lambda: _shortened("x.webp"), "cat/x.webp", "cannot be read as an image"),
    "a truncated PPM": (lambda: _shortened("x.ppm"), "cat/x.ppm", "truncated"),
    "a PNG with a wrong checksum": (lambda: _damaged_checksum("x.png"), "cat/x.png", "cannot be read as an image"),
    "a decompression bomb": (lambda: _huge("bomb.png", 50_000), "cat/bomb.png", "decompression bomb"),
    "one of the largest PNGs": (lambda: _huge("bomb.png", 2**31 - 1), "cat/bomb.png", "decompression bomb"),
    "no pixels": (lambda: (CAT / "x.ppm").write_bytes(b"P6 0 0 255\n"), "cat/x.ppm", "cannot be read as an image"),
    "floats for pixels": (
        lambda: _save("f.tif", Image.fromarray(np.zeros((3, 3), np.float32))), "cat/f.tif", "its pixels are floats"
    ),
    "more than 16 bits": (_beyond_sixteen_bits, "cat/deep.tif", "go from 0 to 70000"),
    "negative pixels": (_negative, "cat/deep.tif", "go from -1 to 0"),
    "16-bit grey with a transparent level": (
        lambda: (CAT / "t.png").write_bytes(png(np.zeros((2, 2, 1)), 0, chunk(b"tRNS", bytes(2)))),
        "cat/t.png", "a transparent colour",
    ),
    "16-bit colours with a transparent one": (
        lambda: (CAT / "t.png").write_bytes(png(np.zeros((2, 2, 3)), 2, chunk(b"tRNS", bytes(6)))),
        "cat/t.png", "a transparent colour",
    ),
    "an animated GIF": (lambda: _frames("a.gif"), "cat/a.gif", "it has 3 frames"),
    "an animated PNG": (lambda: _frames("a.png"), "cat/a.png", "it has 3 frames"),
    "an animated WebP": (lambda: _frames("a.webp"), "cat/a.webp", "it has 3 frames"),
    "a TIFF of several pages": (lambda: _frames("a.tif"), "cat/a.tif", "it has 3 frames"),
    "a link to nothing": (lambda: (CAT / "gone.png").symlink_to("nowhere"), "cat/gone.png", "No such file"),
    "an image that would be passed over": (
        lambda: (CAT / "IMG_1.HEIC").touch(), "cat/IMG_1.HEIC", ".HEIC is a format that is not read"
    ),
    "classes that differ in case": (lambda: tree(Path("photos/train"), {"Dog": 2}), "train/dog", "only in case"),
    "a broken image in test": (
        lambda: Path("photos/test/dog/009.png").write_bytes(b"?"), "test/dog/009.png", "it is none of JPEG"
    ),
}  # fmt: skip


CLEANED: dict[str, tuple[Damage, str, str]] = {
    "a folder of images in a class": (
        lambda: picture(CAT / "more/0.png"), "train/cat", "1 image of folders in it belongs to it (more)"
    ),
    "an image in no class": (lambda: picture(Path("photos/test/0.png")), "test", "in no class's folder (0.png)"),
    "names that differ in case": (lambda: picture(CAT / "000.PNG"), "train/cat/000.png", "differ only in case"),
    "an empty class": (lambda: Path("photos/train/owl").mkdir(), "train/owl", "has no images"),
    "an empty class in test": (lambda: _emptied("photos/test/cat"), "test/cat", "has no images"),
    "a class that is not in test": (lambda: tree(Path("photos/train"), {"owl": 2}), "test", "has no images of owl"),
    "a class that is not in training": (lambda: tree(Path("photos/test"), {"owl": 2}), "test", "owl left out"),
    "a split called otherwise": (lambda: Path("photos/test").rename("photos/Testing"), "Testing/", "the test split"),
    "a test split without classes": (
        lambda: [Path("photos/test").rename("photos/old"), picture(Path("photos/test/0.png"))],
        "test", "has images without classes: it is no test split",
    ),
}  # fmt: skip


@pytest.fixture
def photos(empty: Path) -> None:
    first = tree(Path("photos/train"), {"cat": 3, "dog": 3})
    tree(Path("photos/test"), {"cat": 2, "dog": 2}, first)


@pytest.mark.parametrize("wrong", PHOTOS)
def test_folder(photos: None, wrong: str) -> None:
    damage, file, reason = PHOTOS[wrong]
    damage()
    check("data=folder data.path=photos", file, reason)


@pytest.mark.parametrize("untidy", CLEANED)
def test_what_is_cleaned_up_in_a_folder_is_said_and_refused_where_that_is_wanted(photos: None, untidy: str) -> None:
    damage, file, reason = CLEANED[untidy]
    damage()
    loaded = load_dataset(composed("train", "data=folder", "data.path=photos", "model=linear", "data.val_fraction=0"))
    assert any(line.startswith(file) and reason in line for line in loaded.notes), loaded.notes
    check("data=folder data.path=photos data.strict=true", file, reason)


@pytest.mark.parametrize(
    "wrong", ["a truncated JPEG", "an animated GIF", "a broken image in test", "more than 16 bits"]
)
def test_a_folder_that_is_streamed_is_looked_at_before_the_first_step(
    photos: None, trainer: Trainer, wrong: str
) -> None:
    damage, file, reason = PHOTOS[wrong]
    damage()
    options = "data.mean=[0.5] data.std=[0.5] data.placement=stream data.cache=null"
    command(trainer, f"data=folder data.path=photos {options}", file, reason)


def test_processes_that_look_at_streamed_files_name_a_broken_one(
    photos: None, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending.parallel_decoding(monkeypatch)
    _shortened("x.jpg")
    options = "data.mean=[0.5] data.std=[0.5] data.placement=stream data.cache=null"
    command(trainer, f"data=folder data.path=photos {options}", "cat/x.jpg", "truncated")


def test_an_image_too_long_to_be_scaled(photos: None, trainer: Trainer) -> None:
    _save("long.png", Image.new("L", (1, 9000)))
    command(trainer, "data=folder data.path=photos data.resize=256", "cat/long.png", "scaled to 256 x 2304000")


# --- tables -------------------------------------------------------------------------------------------------

ROWS = [f"{20 + i},{'brick' if i % 3 else 'wood'},{i % 4},{100.5 + i}" for i in range(30)]


def table(*rows: str, header: str = "area,walls,rooms,price") -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


def cell(row: int, column: int, content: str) -> bytes:
    """The table with another cell; rows are counted as an editor does."""
    rows = [line.split(",") for line in ROWS]
    rows[row - 2][column] = content
    return table(*map(",".join, rows))


TABLES: dict[str, tuple[bytes, str]] = {
    "nothing but texts": (table(*(f"w{i},{i}.5" for i in range(1500)), header="a,price"), "no column is left"),
    "one row": (table(ROWS[0]), "has 1 row to use"),
    "two rows": (table(*ROWS[:2]), "has 2 rows to use"),
    "no row": (table(), "has no rows"),
    "nothing": (b"", "has no rows"),
    "the same target in every row": (table(*(f"{i},x" for i in range(9)), header="a,price"), "is 'x' in every row"),
    "the same value in every row": (table(*(f"{i},1.5" for i in range(9)), header="a,price"), "is 1.5 in every row"),
    "a binary file": (bytes(range(256)) * 9, "not text"),
    "a quote that is never closed": (cell(4, 1, '"brick'), "unexpected end of data"),
    "text after a quote": (cell(4, 1, '"brick"s'), "expected after"),
    "a row that is too short": (table(*ROWS[:20], "1,brick", *ROWS[20:]), "row 22: 2 cells, but the header has 4"),
    "a row that is too long": (table(*ROWS, "1,brick,2,3,4"), "row 32: 5 cells"),
    "nothing but the target": (table("1", "2", "3", header="price"), "no column beside the target"),
}
# Each is cleaned up with a line; who is strict gets the reason.
TIDIED: dict[str, tuple[bytes, str]] = {
    "NaN": (cell(7, 0, "NaN"), "row 7: column 'area' is missing"),
    "NaN in the target": (cell(7, 3, "nan"), "left out 1 row without a target 'price'"),
    "infinity": (cell(9, 0, "-inf"), "row 9: column 'area' is '-inf'"),
    "a number beyond single precision": (cell(9, 0, "1e300"), "row 9: column 'area' is '1e300'"),
    "an empty cell": (cell(31, 2, ""), "row 31: column 'rooms' is missing"),
    "n/a among numbers": (cell(5, 0, "n/a"), "row 5: column 'area' is missing"),
    "a question mark among few numbers": (cell(5, 2, "?"), "row 5: column 'rooms' is missing"),
    "an underscore": (cell(5, 0, "1_2"), "row 5: column 'area' is '1_2'"),
    "a word in a target of numbers": (cell(5, 3, "unknown"), "left out 1 row without a target 'price'"),
    "several words among numbers": (
        table(*(f"{i * 7 % 31 if i % 7 else 'unknown'},{i}.5" for i in range(30)), header="a,price"),
        "row 2: column 'a' is 'unknown', and 4 more",
    ),
    "a third of a column missing": (
        table(*(f"{i * 7 % 61 if i % 3 else 'N.A.'},{i}.5" for i in range(60)), header="a,price"),
        "row 2: column 'a' is missing, and 19 more",
    ),
    "thousands of words": (
        table(*(f"w{i},{i % 9},{i}.5" for i in range(1500)), header="a,b,price"),
        "dropped 'a': names or texts",
    ),
    "UTF-16": (table(*ROWS).decode().encode("utf-16"), "read as UTF-16"),
    "UTF-16 without a mark": (table(*ROWS).decode().encode("utf-16-le"), "read as UTF-16"),
    "Latin-1": (cell(4, 1, "Köln").decode().encode("latin-1"), "not UTF-8: read as Windows-1252"),
    "two columns of one name": (
        table(*(f"{i % 7},{i % 5},{i}.5" for i in range(30)), header="a,a,price"),
        "1 column of the same name as another, now 'a.2'",
    ),
    "a column without a name": (
        table(*(f"{i},{i % 5},{i}.5" for i in range(30)), header=",a,price"),
        "dropped 'column 1': it has no name",
    ),
    "a total": (table(*ROWS, "Total,,,3435"), "left out row 32 at the end, 'Total'"),
}


@pytest.mark.parametrize("wrong", TABLES)
def test_tables_that_cannot_be_used(empty: Path, wrong: str) -> None:
    content, reason = TABLES[wrong]
    Path("houses.csv").write_bytes(content)
    check("data=table data.path=houses.csv data.target=price", "houses.csv", reason)


@pytest.mark.parametrize("wrong", TIDIED)
def test_tables_that_are_cleaned_up_but_not_for_the_strict(empty: Path, wrong: str) -> None:
    content, reason = TIDIED[wrong]
    Path("houses.csv").write_bytes(content)
    check("data=table data.path=houses.csv data.target=price data.strict=true", "houses.csv", reason)
    found = data.load(Table(path="houses.csv", target="price"))
    assert found.notes
    assert all(note.startswith("houses.csv: ") for note in found.notes)
    for split in (found.train, found.test):
        assert split.inputs.isfinite().all()
        assert split.targets.isfinite().all()


@pytest.mark.parametrize(
    "content",
    [
        cell(5, 0, '"12,5"'),
        table(*ROWS).replace(b",", b";"),
        table(*ROWS).replace(b",", b"\t"),
    ],
    ids=["a decimal comma", "semicolons", "tabs"],
)
def test_tables_that_are_written_in_another_way(empty: Path, content: bytes) -> None:
    Path("houses.csv").write_bytes(content)
    assert data.load(Table(path="houses.csv", target="price", strict=True)).columns[0] == "area"


# --- the user's own ---------------------------------------------------------------------------------------

OWN = """
import torch
def points(**changed):
    x = torch.randn(20, 3)
    parts = {{"x": x, "y": x[:, 0].clone(), "std": None}}
    {change}
    half = (parts["x"], parts["y"])
    return type("Points", (), {{"train": half, "test": (x, x[:, 0]), "std": parts["std"]}})
"""


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ("parts['x'] = x.clone(); parts['x'][7, 1] = torch.nan", "own.train", "input number 7 (from 0) has nan"),
        ("parts['y'][19] = -torch.inf", "own.train", "target number 19 (from 0) has -inf"),
        ("parts['y'] = x[:, 0].double() * 1e300", "own.train", "target number 0"),
        ("parts['std'] = [1.0, 0.0, 1.0]", "own.std", "inputs are divided by it"),
    ],
    ids=["NaN input", "infinite target", "too large for single precision", "a deviation of 0"],
)
def test_own_data(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, change: str, name: str, reason: str) -> None:
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/own.yaml").write_text("_target_: own_points.points\n")
    Path("own_points.py").write_text(OWN.format(change=change))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "own_points", None)
    del sys.modules["own_points"]
    command(trainer, "data=own", name, reason)
