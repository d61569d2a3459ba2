"""What recipes reach, in one run each with its own seed:  python -m benchmarks.recipes --data DIR [NAME ...]

The results stand in recipes.json, and as the table of records in the README between its two comments. `DIR` holds
`MNIST/raw`, `cifar10-images` (CIFAR-10 as `{train,test}/CLASS/*.jpg`) and `insurance.csv`; a recipe whose data are not
there is left out.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import machine

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("recipes.json")
README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- records -->\n).*?(<!-- end of records -->)", re.DOTALL)

# By name: what is typed, the metric that counts, and what has to lie in the data folder.
RECIPES = {
    "digits": ("trainer train", "test/accuracy", ""),
    "mnist_lenet": ("trainer train experiment=mnist_lenet", "test/accuracy", "MNIST/raw"),
    "mnist_lenet_best": ("trainer train experiment=mnist_lenet_best", "test/accuracy", "MNIST/raw"),
    "cifar_lenet_best": (
        "trainer train experiment=cifar_lenet_best data=folder data.path=cifar10-images",
        "test/accuracy",
        "cifar10-images",
    ),
    "insurance": (
        "trainer train experiment=table data.path=insurance.csv data.target=charges",
        "test/r2",
        "insurance.csv",
    ),
    "quadratic": ("trainer train experiment=quadratic", "test/mse", ""),
}


@dataclass(frozen=True)
class Reached:
    """What one run of a recipe came to; `low` and `high` are the 95% interval of the test's figure, if it has one."""

    name: str
    command: str
    metric: str
    figure: float
    low: float | None
    high: float | None
    seconds: float
    machine: str
    date: str
    commit: str

    def row(self) -> str:
        """Its line of the table."""
        cells = (
            f"`{self.command}`",
            self._shown(),
            f"{self.seconds:.0f} s",
            self.machine,
            self.date,
            f"`{self.commit}`",
        )
        return f"| {' | '.join(cells)} |"

    def _shown(self) -> str:
        if self.metric == "test/accuracy":
            return f"{self.figure:.2%} ({self.low:.2%} to {self.high:.2%})"
        name = {"test/r2": "R² ", "test/mse": "mean squared error "}[self.metric]
        span = "" if self.low is None else f" ({self.low:.3g} to {self.high:.3g})"
        return f"{name}{self.figure:.3g}{span}"


def main() -> int:
    """Run what was asked for, one after the other, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=(__doc__ or "").split(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all if none is given")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the data lie")
    asked = parser.parse_args()
    reached = {entry["name"]: Reached(**entry) for entry in json.loads(RESULTS.read_text(encoding="utf-8"))}
    if unknown := set(asked.names) - RECIPES.keys():
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}")
    run = commit()  # before its own results are written
    for name in asked.names or RECIPES:
        command, metric, needed = RECIPES[name]
        if not (asked.data / needed).exists():
            print(f"{name} is left out: there is no {needed} in {asked.data}")
            continue
        reached[name] = measured(name, command, metric, asked.data.resolve(), run)
        print(reached[name].row(), flush=True)
        write([reached[known] for known in RECIPES if known in reached])
    return 0


def measured(name: str, command: str, metric: str, data: Path, run: str) -> Reached:
    """Run the recipe as it is typed, in the folder of the data."""
    trainer = Path(sys.executable).with_name("trainer")
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder:
        words = [str(trainer), *command.split()[1:], f"output={folder}"]
        subprocess.run(
            words, cwd=data, env={**os.environ, "TRAINER_DATA": str(data)}, check=True, stdout=subprocess.DEVNULL
        )
        (result,) = Path(folder).glob("*/*/result.json")
        found = json.loads(result.read_text(encoding="utf-8"))
    low, high = found["intervals"].get(metric, (None, None))
    here = machine.describe("cpu")["CPU"]
    threads = found["environment"]["device"].split(", ")[1]
    today = datetime.date.today().isoformat()
    figure = found["metrics"][metric]
    return Reached(name, command, metric, figure, low, high, found["seconds"], f"{here}, {threads}", today, run)


def commit() -> str:
    """The commit that was run, with a plus sign if files differ from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


def table(reached: list[Reached]) -> str:
    """The table of records in Markdown."""
    head = [
        "| recipe | result on the test set (95% interval) | time | machine | date | commit |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(one.row() for one in reached)]) + "\n"


def write(reached: list[Reached]) -> None:
    """Write the results, a line each, and the README's table."""
    lines = ",\n".join(json.dumps(asdict(one)) for one in reached)
    RESULTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda found: found[1] + table(reached) + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
