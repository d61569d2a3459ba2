"""How long a person waits for the first line of each verb, and for all of it:

    python -m benchmarks.first_line [--rounds 5]

Each command runs in a terminal of its own; the clock and the CPU time of the process are read at its first byte, and
when it has ended. The table has the lowest of all rounds, for what is more is other programs'.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.screens import Seen, shown

TRAINER = (sys.executable, "-m", "trainer")
SMALL = ("model=linear", "data.limit=200", "epochs=2")
RUN = "runs/linear_digits/RUN"
VERBS = {
    "train": (*SMALL, "output=others"),
    "eval": (RUN,),
    "predict": (RUN, "input=images"),
    "export": (RUN, "format=pt2"),
    "inspect": (RUN,),
    "resume": (RUN, "epochs=3"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("| verb | first line: CPU s | seconds | whole command: CPU s | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for verb, words in VERBS.items():
            each = [_measured(Path(folder) / f"{verb}{number}", verb, words) for number in range(rounds)]
            firsts = [seen.first for seen in each if seen.first is not None]
            columns = [1, 0]
            first = [f"{min(pair[column] for pair in firsts):.2f}" for column in columns]
            whole = [f"{min(seen.whole[column] for seen in each):.1f}" for column in columns]
            print(f"| {verb} | {' | '.join([*first, *whole])} |", flush=True)


def _measured(folder: Path, verb: str, words: tuple[str, ...]) -> Seen:
    """One run of a verb in a new folder, in which there are a run and some images."""
    folder.mkdir()
    made = subprocess.run([*TRAINER, "train", *SMALL, "name=linear_digits"], cwd=folder, capture_output=True, text=True)
    (run,) = (folder / "runs" / "linear_digits").iterdir()
    run.rename(folder / RUN)
    assert made.returncode == 0, made.stderr
    (folder / "images").mkdir()
    for number in range(10):
        _image(folder / "images" / f"{number}.png")
    seen = shown([*TRAINER, verb, *words], columns=80, directory=folder)
    assert seen.code == 0, seen.text
    return seen


def _image(path: Path) -> None:
    from PIL import Image

    Image.new("L", (28, 28), 128).save(path)


if __name__ == "__main__":
    main()
