"""One page: its blocks run in their order, in a directory of its own."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .blocks import ROOT, SHELL, Block, blocks, divided
from .environment import LIMIT, Fresh
from .prepared import MEANT, PLACES

# What runs need that a page names, and what commands take up by themselves.
SMALL = ("photos", "houses.csv", "configs", "mynet.py")

# Executes what it reads, a block a line, in one namespace.
PROGRAM = """
import json, sys, traceback
namespace = {"__name__": "__main__"}
for line in sys.stdin:
    place, text = json.loads(line)
    try:
        exec(compile(text, place, "exec"), namespace)
        print("-- done", file=sys.stderr, flush=True)
    except BaseException:
        traceback.print_exc()
        print("-- failed", file=sys.stderr, flush=True)
"""


@dataclass
class Outcome:
    """How a page fared."""

    page: Path
    blocks: int = 0
    seconds: float = 0
    failures: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The page, what was run of it, and how long that took."""
        verdict = f"{len(self.failures)} FAILED" if self.failures else "passed"
        return f"{self.seconds:5.1f} s  {self.page.relative_to(ROOT)}: {self.blocks} blocks, {verdict}"


def left_out(page: Path) -> Iterator[str]:
    """What of the page is not run, and why."""
    for block in blocks(page):
        runnable = block.language in SHELL or (block.language == "python" and block.file is None)
        if runnable and "not run" in block.marks:
            first = next(line.strip() for line in block.text.splitlines() if line.strip())
            yield f"{block.place}  {first}: {block.marks['not run']}"
        elif block.language in SHELL:
            for line, need in divided(block.script)[1]:
                yield f"{block.place}  {line}: {need}"


def wanted(pages: list[Path]) -> set[str]:
    """The prepared runs that the pages name."""
    found: set[str] = set()
    for page in pages:
        meant = dict(MEANT)
        for block in blocks(page):
            meant |= _meant(block)
            found |= {name for word, name in meant.items() if "/" in word or _named(word, block.text)}
            found |= {name for place, name in PLACES.items() if place in block.text}
    return found - {"newest"}


def run(page: Path, made: Fresh, shelf: Path, below: Path) -> Outcome:
    """Run what the page shows; after a block that fails the next ones are tried all the same."""
    outcome, started = Outcome(page), time.perf_counter()
    folder = below / re.sub(r"\W", "_", str(page.relative_to(ROOT)))
    folder.mkdir(parents=True)
    text = page.read_text(encoding="utf-8")
    for entry in shelf.iterdir():
        if entry.name not in ("made", "out", "runs", "cache", "data") and (entry.name in text or entry.name in SMALL):
            (shutil.copytree if entry.is_dir() else shutil.copy)(entry, folder / entry.name)
    variables = made.variables(shelf)
    with _Python(folder, variables) as python, _stopped(folder / "stays.txt"):
        meant = dict(MEANT)
        for block in blocks(page):
            meant |= _meant(block)
            if "not run" in block.marks:
                continue
            _lay(block, meant, folder, shelf)
            try:
                if block.file is not None and block.language not in ("", *SHELL):
                    (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / block.file).write_text(block.text, encoding="utf-8")
                    continue
                if block.language in SHELL:
                    newest = " ".join(word for word, name in meant.items() if name == "newest")
                    _shell(block, folder, variables | {"DOCUMENTED_NEWEST": newest})
                elif block.language == "python":
                    python.run(block)
                else:
                    continue
            except AssertionError as error:
                outcome.failures.append(f"{block.place}\n{error}")
            outcome.blocks += 1
    outcome.seconds = time.perf_counter() - started
    return outcome


def _meant(block: Block) -> dict[str, str]:
    return dict(pair.split("=") for pair in block.marks.get("with", "").split())


def _named(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){word}(?![\w.-])", text) is not None


def _lay(block: Block, meant: dict[str, str], folder: Path, shelf: Path) -> None:
    """Have what the block names lie in the page's directory."""
    for word, name in meant.items():
        if not _named(word, block.text) and ("/" not in word or "with" not in block.marks):
            continue
        if name != "newest" and ("with" in block.marks or not (folder / word).exists()):
            shutil.rmtree(folder / word, ignore_errors=True)
            shutil.copytree(shelf / "made" / name, folder / word)
    for place, name in PLACES.items():
        if place in block.text and not (folder / place).exists():
            shutil.copytree(shelf / "made" / name, folder / place)


def _shell(block: Block, folder: Path, variables: dict[str, str]) -> None:
    """Type the block into a shell, but for lines that need what is not here."""
    script, _ = divided(block.script)
    wanted = int(block.marks.get("exit code", "0"))
    more = {"DOCUMENTED_IN_FULL": "1"} if "in full" in block.marks else {}
    if "pictures" in block.marks:
        more["DOCUMENTED_PICTURES"] = "1"
    if "stays" in block.marks:
        more["DOCUMENTED_STAYS"] = str(folder / "stays.txt")
    trap = "trap 'echo \"-- exit code $? of: $BASH_COMMAND\" >&2' ERR\n"
    ran = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", trap + script],
        cwd=folder,
        env=variables | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    said = re.sub(r"\s+", " ", ran.stdout + ran.stderr)
    for line in block.shown:
        assert re.search(pattern(line), said), f"it does not say {line!r}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    assert ran.returncode == wanted, f"exit code {ran.returncode}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"


def pattern(line: str) -> str:
    """What a line of a console looks like on another machine, on another day: numbers differ, and `…` is anything."""
    text = re.sub(r"\d[\d.,:_-]*", "0", re.sub(r"\bruns/\w+/", "runs/…/", " ".join(line.split())))
    return re.escape(text).replace("0", r"\d[\d.,:_-]*").replace("…", ".*")


class _Python:
    """The program that the Python blocks of a page make together, started with the first of them."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "_Python":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(LIMIT)
            self.process.stderr.close()

    def run(self, block: Block) -> None:
        """Execute a block; an assertion fails with its traceback."""
        if self.process is None:
            self.process = subprocess.Popen(
                ["program", PROGRAM],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        print(json.dumps([block.place, block.text]), file=self.process.stdin, flush=True)
        said = []
        for line in self.process.stderr:
            if line == "-- done\n":
                return
            if line == "-- failed\n":
                break
            said.append(line)
        raise AssertionError("".join(said)[-4000:])


@contextlib.contextmanager
def _stopped(file: Path) -> Iterator[None]:
    """Stop the services that the page has started."""
    yield
    for pid in file.read_text().split() if file.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGINT)
