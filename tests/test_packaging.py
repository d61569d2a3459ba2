"""The wheel: what is in it, and that it works away from the repository."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from trainer.config.composition import CONFIGS
from trainer.system import extras

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built offline."""
    backend = pytest.importorskip("hatchling.build", reason="hatchling is not installed: no wheel to look at")
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / str(backend.build_wheel(str(folder)))


def test_the_wheel_has_the_package_and_its_configs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    configs = {f"trainer/configs/{path.relative_to(CONFIGS)}" for path in CONFIGS.rglob("*.yaml")}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "trainer").rglob("*.py")}
    others = {name for name in names - configs - modules if ".dist-info/" not in name}
    assert configs <= names
    assert modules <= names
    page = {f"trainer/serve/page/page.{kind}" for kind in ("html", "css", "js")}
    page.add("trainer/show/html/page.css")
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "trainer" / "templates").iterdir()}
    assert page | templates <= others <= {"trainer/py.typed", *page, *templates}


def test_the_wheel_declares_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "trainer = trainer.cli.main:main" in archive.read(name).decode()


def test_the_wheel_finds_its_configs_in_any_working_directory(wheel: Path, empty: Path) -> None:
    installed = empty / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    elsewhere = empty / "elsewhere"
    elsewhere.mkdir()
    command = (
        "import sys, trainer.config.composition as c; from trainer.cli.main import main; print(c.CONFIGS); "
        "sys.exit(main(['train', 'model=mlp', '--cfg', 'job']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", command],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    where, config = ran.stdout.split("\n", 1)
    assert Path(where) == installed / "trainer" / "configs"
    assert yaml.safe_load(config)["model"]["name"] == "mlp"


def test_every_hint_to_install_names_this_project_and_an_extra_that_it_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == extras.DISTRIBUTION
    named: set[str] = set()
    for folder, kind in (("trainer", "*.py"), ("configs", "*.yaml"), ("docs", "*.md"), (".", "README.md")):
        for path in (ROOT / folder).rglob(kind) if folder != "." else [ROOT / kind]:
            text = path.read_text(encoding="utf-8")
            for hint in re.findall(r"pip install '([^']*)\[([a-z]+)\]'", text):
                assert hint[0] == extras.DISTRIBUTION, path
                named.add(hint[1])
            named.update(re.findall(r"\binstall\(\"([a-z]+)\"\)", text))
    assert named == project["optional-dependencies"].keys() - {"test", "dev", "benchmarks", "docs"}
