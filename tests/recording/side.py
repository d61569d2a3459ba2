"""One of the two checkouts: its commands run in a directory of their own, and what they leave behind."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .canonical import left, rewriting, screen
from .commands import Case, Command

LIMIT = 180.0  # seconds that any command may take
WIDTH = "100"  # characters of the terminal


@dataclass(frozen=True)
class Left:
    """What there was after a command: what has to be equal to the bit, and what is worded for people."""

    command: str
    bits: dict[str, Any]
    words: dict[str, str]


class Side:
    """A copy of the package in `checkout`, which may then change, and a directory to run it in.

    The directories of both sides must have names of the same length, for tables are as wide as the paths in them.
    """

    def __init__(self, checkout: Path, directory: Path, inputs: Path, data: Path | None) -> None:
        self.directory, self.inputs, self.data = directory, inputs, data
        self.code, self.work, self.cache = directory / "code", directory / "work", directory / "cache"
        for name in ("trainer", "configs"):
            shutil.copytree(checkout / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        places = {self.work: "<work>", self.code: "<code>", self.cache: "<cache>", inputs: "<inputs>"}
        if data is not None:
            places[data] = "<data>"
        self.rewrite = rewriting({str(path): name for path, name in places.items()})
        self._check()

    def record(self, case: Case) -> list[Left]:
        """Run the commands of a case; what each left behind."""
        self.work.mkdir()
        try:
            return [self._after(command) for command in case.commands]
        finally:
            shutil.rmtree(self.work)

    def _after(self, command: Command) -> Left:
        code, out, err = self._run(command)
        if command.interrupt_at is not None:  # where it stopped is chance, and so is what it had said and written
            return Left(command.typed, {"exit code": code}, {})
        bits, words = left(self.work, self.rewrite)
        bits["exit code"] = code
        if command.shows_config and code == 0:
            bits["config shown: "] = yaml.safe_load(self.rewrite(out))
        else:
            words["stdout"] = screen(out, self.rewrite)
        words["stderr"] = screen(err, self.rewrite)
        if command.at_once:
            words["stdout"] = "\n".join(line for line in words["stdout"].splitlines() if not line.startswith("job "))
        return Left(command.typed, bits, words)

    def _run(self, command: Command) -> tuple[int | str, str, str]:
        files = self.directory / "stdout", self.directory / "stderr"
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer", *self._words(command)],
                cwd=self.work,
                env=self._environment(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                if command.interrupt_at is not None:
                    self._interrupt(process, command.interrupt_at)
                code: int | str = process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = f"not ended within {LIMIT:.0f} s"
        text = [file.read_text(errors="replace") for file in files]
        return code, text[0], text[1]

    def _interrupt(self, process: subprocess.Popen[bytes], rows: int) -> None:
        deadline = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < deadline:
            if any(file.read_bytes().count(b"\n") >= rows for file in self.work.rglob("metrics.jsonl")):
                process.send_signal(signal.SIGINT)
                return
            time.sleep(0.01)

    def _words(self, command: Command) -> list[str]:
        places = {"{inputs}": str(self.inputs), "{data}": str(self.data)}
        for name, pattern in (("{run}", "runs/*/*/config.yaml"), ("{sweep}", "runs/sweeps/*/*/plan.json")):
            found = sorted(self.work.glob(pattern), key=lambda path: path.parent.name)
            places[name] = str(found[0].parent.relative_to(self.work)) if found else "none-was-made"
        typed = command.typed
        for name, path in places.items():
            typed = typed.replace(name, path)
        return shlex.split(typed)

    def _environment(self, command: Command) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINER_", "HYDRA_"))}
        own = {"PYTHONPATH": str(self.code), "TRAINER_CACHE": str(self.cache), "COLUMNS": WIDTH, "OMP_NUM_THREADS": "1"}
        return {**ours, **own, **dict(command.environment)}

    def _check(self) -> None:
        """Make sure that the commands run this copy, and no other that is installed."""
        asked = [sys.executable, "-c", "import trainer; print(trainer.__file__)"]
        environment = self._environment(Command(""))
        found = subprocess.run(asked, cwd=self.directory, env=environment, capture_output=True, text=True, check=True)
        assert Path(found.stdout.strip()).is_relative_to(self.code), found.stdout
