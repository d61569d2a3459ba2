"""Several devices are tried: `trainer train` itself, for some steps with them and without, each as its own command."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from trainer.system.errors import TrainingFailedError

SECONDS = 2.5  # of the steps of a command, as far as one process takes so long for them
PATIENCE = 120.0  # seconds that a command has in all
SILENT = ("plots=false", "tables=false", "tensorboard.enabled=false", "tracking=none", "hooks=[]")


def speeds(words: Sequence[str], devices: int, steps: int) -> Iterator[tuple[float, float]]:
    """Samples per second of a training of so many steps, which is typed as `words`, without and with several devices.

    Raises:
        TrainingFailedError: It does not work with them.
    """
    one, several = [*words, "devices=1"], [*words, f"devices={devices}"]
    yield _speed(one, steps), _speed(several, steps)
    after, before = _speed(several, steps), _speed(one, steps)  # the machine may become slower meanwhile
    yield before, after


def _speed(words: Sequence[str], steps: int) -> float:
    with TemporaryDirectory(prefix="trainer-profile-") as place:
        # What lies in the current directory is not to be taken for trainer: -P.
        trainer = [sys.executable, "-P", "-m", "trainer", "train"]
        command = [*trainer, *words, *SILENT, f"max_steps={steps}", f"output={place}"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise TrainingFailedError(f"it takes longer than {PATIENCE:.0f} s to begin and end") from error
        if ran.returncode:
            said = [line for line in ran.stderr.splitlines() if line.strip()] or [f"exit code {ran.returncode}"]
            reason = next((line for line in said if line.startswith("error: ")), said[-1])
            raise TrainingFailedError(reason.removeprefix("error: "))
        (log,) = Path(place).rglob("metrics.jsonl")
        rows = [json.loads(line) for line in log.read_text().splitlines()]
    found = [row["samples_per_second"] for row in rows if "samples_per_second" in row]
    speed: float = median(found[1:] or found)  # in the first epoch libraries set themselves up
    return speed
