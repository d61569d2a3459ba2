"""`trainer predict` of hostile inputs, and ended while it works: nothing is waited for, nothing is left behind."""

import os
import signal
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import Ran
from PIL import Image
from processes import Machine, Running
from test_predict import PHOTOS

from trainer.cli.main import main
from trainer.data.image import Way
from trainer.predict import decoding, walking
from trainer.predict.decoding import decoded
from trainer.system import machine as system_machine
from trainer.system.errors import DataError

Predict = Callable[..., Ran]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of photos of two classes."""
    folder = tmp_path_factory.mktemp("trained")
    for label, level in (("dark", 30), ("light", 220)):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (9, 9), (level, level, number)).save(folder / "photos" / label / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *PHOTOS, "data.path=photos", "name=one"]) == 0
        (made,) = Path("runs", "one").iterdir()
    return folder / made


@pytest.fixture
def predict(run: Path, empty: Path, capfd: pytest.CaptureFixture[str]) -> Predict:
    def predicted(*args: str) -> Ran:
        capfd.readouterr()
        code = main(["predict", str(run), *args])
        return Ran(code, *capfd.readouterr())

    return predicted


def photos(folder: str, count: int = 4) -> list[str]:
    Path(folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(Path(folder, f"{number:05}.png"))
    return sorted(map(str, Path(folder).glob("*.png")))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_links_loops_pipes_and_hidden_files_in_a_folder_are_no_trap(predict: Predict) -> None:
    files = photos("in/deep/er")
    Path("in/loop").symlink_to(Path("in").absolute())
    Path("in/itself.png").symlink_to("itself.png")
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/linked.png").symlink_to(Path(files[0]).absolute())
    Path("in/.hidden").mkdir()
    Path("in/.hidden/a.png").write_bytes(Path(files[0]).read_bytes())
    Path("in/folder.png").mkdir()
    os.mkfifo("in/pipe.png")
    Path("in/notes.txt").write_text("nothing")
    ran = predict("input=in")
    assert ran.code == 1
    found = pl.read_csv("predictions.csv")
    assert found["input"].to_list() == ["in/gone.png", "in/itself.png", "in/linked.png", "in/pipe.png", *files]
    assert found["error"].is_not_null().to_list() == [True, True, False, True, *[False] * 4]
    assert "not a regular file" in found["error"][3]
    assert "2 files passed over" in ran.out


def test_an_image_that_unfolds_to_too_much_is_a_row_with_its_reason(predict: Predict) -> None:
    files = photos("in", 2)
    png = Image.new("L", (1, 1))
    png.save("in/bomb.png")
    head = bytearray(Path("in/bomb.png").read_bytes())
    head[16:24] = (50_000).to_bytes(4, "big") * 2  # the width and height that it says
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    Path("in/bomb.png").write_bytes(head)
    ran = predict("input=in")
    assert ran.code == 1
    found = pl.read_csv("predictions.csv")
    assert found["input"].to_list() == [*files, "in/bomb.png"]
    assert "exceeds limit" in found["error"][2]


def test_a_file_that_is_there_no_more_is_a_row_with_its_reason(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = photos("in", 3)
    fill = decoding._fill

    def removing(*args: object) -> object:
        Path(files[1]).unlink(missing_ok=True)
        return fill(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "_fill", removing)
    assert predict("input=in").code == 1
    assert "No such file" in pl.read_csv("predictions.csv")["error"][1]


def test_many_names_of_a_folder_come_in_order_from_the_disk(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "IN_MEMORY", 7)
    monkeypatch.setattr(walking, "_BLOCK", 16)
    names = [f"{number * 7919 % 1000:03}.png" for number in range(100)]
    for folder in ("in", "in/b", "in/a"):
        Path(folder).mkdir(exist_ok=True)
        for name in names:
            Path(folder, name).touch()
    found = [*walking.images_below("in", walking.PassedOver())]
    expected = [f"{folder}/{name}" for folder in ("in", "in/a", "in/b") for name in sorted(set(names))]
    assert found == expected
    assert [*walking.matching("in/?/00*")] == [f for f in expected if f[3:4] in "ab" and f[5:7] == "00" and f[4] == "/"]


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_machine.os, "sched_getaffinity", lambda _: {0, 1})


def test_processes_decode_as_this_one_does(empty: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos("in", 150)
    Path(files[70]).write_text("no image")
    ways = [Way(8), Way(6, channels=1)]

    def all_of_it() -> tuple[list[str], list[np.ndarray], dict[int, str]]:
        paths, pixels, reasons = list[str](), list[np.ndarray](), dict[int, str]()
        for window in decoded(iter(files), ways):
            reasons |= {len(paths) + place: reason for place, reason in window.reasons.items()}
            paths += window.paths
            pixels.append(np.concatenate([part.reshape(len(part), -1) for part in window.pixels], 1))
        return paths, [np.delete(np.concatenate(pixels), 70, 0)], reasons

    alone = all_of_it()
    monkeypatch.setattr(decoding, "FEW", 20)
    together = all_of_it()
    assert together[0] == alone[0] == files
    assert np.array_equal(together[1][0], alone[1][0])
    assert together[2] == alone[2]
    assert [*alone[2]] == [70]


def test_a_decoding_process_that_is_killed_is_told(
    empty: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "FEW", 20)
    files = photos("in", 60) * 200  # more than are given to the processes at once
    windows = decoded(iter(files), [Way(8)])
    next(windows)
    (victim, *_) = _children_of(os.getpid())
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(DataError, match="was killed"):
        list(windows)
    assert not _children_of(os.getpid())


def _children_of(pid: int) -> list[int]:
    """Those that a test has started: not the servers that Python and these tests keep for a whole session."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    kept = (b"fork_server", b"resource_tracker", b"forkserver")
    return [child for child, command in commands.items() if not any(word in command for word in kept)]


@pytest.fixture
def working(run: Path, machine: Machine, empty: Path) -> Running:
    """`trainer predict` of very many files, which is under way, with a table of earlier predictions beside it."""
    photos("in", 50)
    for number in range(100):
        Path(f"more{number}").symlink_to("in")
    Path("predictions.csv").write_text("input,predicted,error\na,b,\n")
    words = ["predict", str(run), "input=[" + ",".join(["more*"] * 400) + "]"]
    return machine.start(*words)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_leaves_the_table_as_it_was_and_no_process(working: Running, signum: int) -> None:
    working.until_said("predicting: ")
    if signum == signal.SIGINT:
        working.send(signum, group=True)  # as a terminal does
    else:
        working.kill(signum)
    ended = working.wait()
    assert ended.reckoned == 128 + signum
    assert working.leaves_nobody()
    assert Path("predictions.csv").read_text() == "input,predicted,error\na,b,\n"
    if signum != signal.SIGKILL:
        assert "Traceback" not in ended.err
        assert not [*Path().glob(".*.part")]
