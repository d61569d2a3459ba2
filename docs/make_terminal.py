"""Draw docs/terminal.svg, the README's picture, from a real run:  python docs/make_terminal.py"""

import io
import os
import re
import tempfile
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.text import Text

from trainer.cli.main import main
from trainer.run.hooks.screen import Screen

PICTURE = Path(__file__).with_name("terminal.svg")
COMMAND = ("train", "model=lenet", "data=digits", "epochs=10")


def draw() -> str:
    """The screen of one run, without the progress bars that come and go."""
    console = Console(record=True, force_terminal=True, width=104, file=io.StringIO(), highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), f"trainer {' '.join(COMMAND)}"))
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("trainer.show.report.Console", return_value=console),
        patch.object(Screen, "BAR_SECONDS", float("inf")),
    ):
        here = os.getcwd()
        os.chdir(folder)
        try:
            main(list(COMMAND))
        finally:
            os.chdir(here)
    svg = console.export_svg(title="trainer")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no fonts from the network


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
