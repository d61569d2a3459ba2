"""A fresh environment with the built wheel, in which commands start at once."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .blocks import ROOT

HERE = Path(__file__).resolve().parent
IMPORTED = ("torch.export._trace", "onnxscript", "matplotlib.pyplot")
LIMIT = 300  # seconds that one command may take: only one that hangs does


@dataclass(frozen=True)
class Fresh:
    """A virtual environment with nothing of the repository but what its wheel brings."""

    folder: Path
    wheels: Path
    orders: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def variables(self, home: Path) -> dict[str, str]:
        """The environment of a shell in it, with `home` as the home directory: data lie in `data` there."""
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "PATH": os.pathsep.join([str(self.folder / "shims"), str(self.folder / "bin"), os.defpath]),
            "HOME": str(home),
            "TRAINER_DATA": str(home / "data"),
            "TRAINER_CACHE": str(home / "cache"),
            "VIRTUAL_ENV": str(self.folder),
            "DOCUMENTED_ORDERS": str(self.orders),
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "agg",
            "COLUMNS": "120",
            "PYTHONUNBUFFERED": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # A hint to install is followed as it is typed: pip finds the wheel, and asks nobody for anything.
            "PIP_NO_INDEX": "1",
            "PIP_QUIET": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }


@contextlib.contextmanager
def fresh(scratch: Path) -> Iterator[Fresh]:
    """Build the wheel, install it, and have a fork server wait for orders until the end."""
    wheels = scratch / "wheels"
    code = "import sys, hatchling.build as backend; backend.build_wheel(sys.argv[1])"
    wheels.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", code, wheels], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    made = Fresh(_venv(scratch / "venv", scratch / "shared"), wheels, scratch / "orders")
    (wheel,) = wheels.glob("*.whl")
    pip = [made.python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, timeout=LIMIT)
    shims = made.folder / "shims"
    shims.mkdir()
    for name in ("trainer", "tensorboard", "program"):
        text = (HERE / "shim.py").read_text(encoding="utf-8")
        (shims / name).write_text(f"#!{made.python} -IS\n{text}", encoding="utf-8")
        (shims / name).chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as orders:
        orders.bind(str(made.orders))
        server = subprocess.Popen(
            [made.python, ROOT / "tests" / "fork_server.py", str(orders.fileno()), *IMPORTED],
            cwd=scratch,
            env=made.variables(scratch),
            pass_fds=[orders.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield made
        finally:
            server.kill()  # and whatever it has forked ends with it
            server.wait(LIMIT)


def _venv(folder: Path, shared: Path) -> Path:
    """A virtual environment that sees the libraries of this one, but for trainer itself."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=LIMIT)
    shared.mkdir(exist_ok=True)
    for place in (Path(path) for path in sys.path if path.endswith("site-packages")):
        for entry in place.iterdir():
            if not re.match(r"_?trainer|__editable__|__pycache__|pip\b|.*\.pth$", entry.name):
                with contextlib.suppress(FileExistsError):
                    (shared / entry.name).symlink_to(entry)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for old in [*packages.glob("setuptools*"), *packages.glob("pkg_resources")]:
        shutil.rmtree(old)  # Python 3.11 brings one that is too old for torch
    (packages / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")
    return folder


def hints() -> list[str]:
    """The commands that install an extra, as the program and the pages say them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys() - {"test", "dev", "benchmarks", "docs"}
    return [f"pip install '{project['name']}[{extra}]'" for extra in sorted(extras)]


def follow(hint: str, made: Fresh, scratch: Path) -> str | None:
    """Type a hint where trainer is not installed, and say what is wrong with what was installed."""
    folder = _venv(scratch / re.sub(r"\W", "", hint), scratch / "shared")
    variables = made.variables(scratch) | {"PATH": os.pathsep.join([str(folder / "bin"), os.defpath])}
    ran = subprocess.run(["bash", "-c", hint], env=variables, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    if ran.returncode:
        return (ran.stdout + ran.stderr)[-1000:]
    code = (
        "import importlib.metadata as m, pathlib, trainer; d = m.distribution('trainer-cli'); "
        "assert 'trainer.cli.main:main' in str(list(d.entry_points)); "
        "assert pathlib.Path(trainer.__file__).is_relative_to(pathlib.Path.cwd()), trainer.__file__"
    )
    command = f'python -c "{code}" && trainer --version'
    ran = subprocess.run(
        ["bash", "-c", command], env=variables, cwd=folder, capture_output=True, text=True, timeout=LIMIT
    )
    shutil.rmtree(folder)
    return None if ran.returncode == 0 else ran.stdout + ran.stderr
