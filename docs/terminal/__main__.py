"""`python -m docs.terminal [NAME ...]`: run the commands in a terminal, and draw what is there into docs/NAME.svg."""

import os
import sys
import tempfile
from pathlib import Path

from docs.terminal.drawing import drawn
from docs.terminal.recording import recorded

DOCS = Path(__file__).resolve().parents[1]
COLUMNS = 92

# What is typed for each picture, and whether it moves.
PICTURES = {
    "terminal": (["trainer train model=lenet data=digits epochs=10"], True),
    "terminal_sweep": (["trainer train -m model=mlp optim.lr=0.001,0.01,0.1 seed=0,1 epochs=5 sweep=parallel"], False),
    "terminal_mistakes": (
        ["trainer train model=lennet", "trainer train lr=0.1", "trainer eval runs/lenet_digit"],
        False,
    ),
}


def main() -> None:
    """Draw those that were asked for; all, if none was."""
    for name in sys.argv[1:] or PICTURES:
        commands, moves = PICTURES[name]
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "HOME": folder, "TRAINER_CACHE": f"{folder}/.cache/trainer"}
            environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            screen = recorded(commands, Path(folder), environment, COLUMNS)
        (DOCS / f"{name}.svg").write_text(drawn(screen, COLUMNS, moves), encoding="utf-8")


if __name__ == "__main__":
    main()
