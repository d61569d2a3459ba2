"""Data that a checkpoint or run names by a relative path, looked for from another directory."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import Trainer
from running import SILENT

from trainer.config.locating import HIGHEST, located

QUICK = (*SILENT, "model=linear", "data=folder", "data.path=images", "data.size=8", "epochs=1")


@pytest.fixture
def run(trainer: Trainer, images: Path) -> Path:
    """A run in `project/runs/NAME/TIME` of the folder `project/images`; the current directory is `other`."""
    assert trainer("train", *QUICK).code == 0
    for name in ("images", "runs"):
        shutil.move(images.parent / name, images.parent / "project" / name)
    (images.parent / "other").mkdir()
    os.chdir(images.parent / "other")
    (found,) = Path("../project/runs").glob("*/*")
    return found


def test_data_are_found_beside_the_run(trainer: Trainer, run: Path) -> None:
    place = (run / "../../../images").resolve()
    ran = trainer("eval", f"ckpt={run}")
    assert ran.code == 0, ran.err
    assert ran.err == f"warning: data.path=images is not here: {place} is taken, beside the run\n"
    ran = trainer("resume", str(run), "epochs=2")
    assert ran.code == 0, ran.err
    assert f"data.path=images is not here: {place} is taken" in ran.err
    assert "  path: images\n" not in (run / "config.yaml").read_text()


def test_data_that_are_here_or_typed_go_first(trainer: Trainer, run: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(run / f"../../../images/{split}", f"images/{split}")
    for words in ((), ("data.path=images",), ("data.path=../project/images",)):
        ran = trainer("eval", f"ckpt={run}", *words)
        assert (ran.code, ran.err) == (0, "")


def test_data_that_are_nowhere_are_asked_for_by_their_kind(trainer: Trainer, run: Path) -> None:
    shutil.rmtree(run / "../../../images")
    ran = trainer("eval", f"ckpt={run}")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: data.path=images: no such folder",
        "  say where it lies now, or which data of its kind to take: data.path=DIR",
    ]


def test_only_the_folders_above_a_checkpoint_are_looked_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    deep = tmp_path.joinpath(*"abcdefghijkl"[:HIGHEST])
    for file, found in ((deep.parent / "x.pt", str(tmp_path / "data")), (deep / "y" / "x.pt", "data")):
        assert located({"path": "data", "limit": 3}, file) == {"path": found, "limit": 3}
    for path in ("/data", "~/data", "${x}", "no\ud800thing", "n" * 5000, 3, None):
        assert located({"path": path}, tmp_path / "x.pt") == {"path": path}
    assert located({"columns": "data"}, tmp_path / "x.pt") == {"columns": "data"}
