"""The fenced blocks of a page: what each is, and whether it is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

SHELL = ("bash", "console")
SHOWN = ("", "text", "yaml", "json", "csv", "toml", "ini", "html")  # what is looked at, and not run

# What a line of the shell cannot do without, by a word in it.
NEEDS = {
    r"\bdevice=cuda": "a GPU",
    r"\bcompile=cudagraph": "a GPU",
    r"\bmodel\.weights=DEFAULT\b": "the network: weights are downloaded",
    r"\bmodel\.weights=\w+\.safetensors\b": "the network: weights are downloaded",
    r"\bdata=cifar10\b": "the network: CIFAR-10 is downloaded",
    r"\bsweep=slurm\b(?!.*(sweep\.cluster=local|sweep\.dry_run=true))": "a Slurm cluster",
    r"\bsweep\.address=": "a Ray cluster",
}


@dataclass
class Block:
    """A fenced block, with the comments that stand before it."""

    page: Path
    line: int  # of the fence, counted from 1
    language: str
    text: str
    file: str | None  # the name of the file that it is
    marks: dict[str, str]

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def script(self) -> str:
        """Of a block of the shell, what is typed: of a console what follows `$ `, and lines that go on after it."""
        if self.language != "console":
            return self.text
        typed = re.findall(r"^\$ ((?:.*\\\n)*.*)$", self.text, re.MULTILINE)
        return "".join(f"{line}\n" for line in typed)

    @property
    def shown(self) -> list[str]:
        """Of a console, the lines that the commands are said to print."""
        if self.language != "console":
            return []
        return [
            line
            for line in re.sub(r"^\$ (?:.*\\\n)*.*$", "", self.text, flags=re.MULTILINE).splitlines()
            if line.strip()
        ]


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in its order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = re.fullmatch(r"( *)(`{3,})(\w*)(?: .*)?", lines[number])
        if fence is None:
            number += 1
            continue
        start, (indent, ticks, language) = number, fence.groups()
        number += 1
        while lines[number].strip() != ticks:
            number += 1
        text = "".join(f"{line.removeprefix(indent)}\n" for line in lines[start + 1 : number])
        before, marks = _marks(lines[:start])
        file = re.search(r"`([\w./-]+\.\w+)`:?$", before)
        yield Block(page, start + 1, language, text, file and file[1], marks)
        number += 1


def _marks(before: list[str]) -> tuple[str, dict[str, str]]:
    """The last line with words before a block, and what the comments between say."""
    marks: dict[str, str] = {}
    for line in reversed(before):
        comment = re.fullmatch(r"\s*<!-- ([\w ]+?)(?:: (.*))? -->", line)
        if comment is not None:
            marks[comment[1]] = comment[2] or ""
        elif line.strip():
            return line.strip(), marks
    return "", marks


def mistakes(page: Path) -> list[str]:
    """Blocks of the page of which nobody can say whether they are to be run."""
    known = {"not run", "with", "exit code", "in full", "pictures", "stays"}
    found = []
    for block in blocks(page):
        if block.language not in (*SHELL, *SHOWN, "python"):
            found.append(f"{block.place}: a block of `{block.language}` is neither run nor shown")
        if (
            block.language not in SHELL
            and "not run" not in block.marks
            and re.search(r"^(\$ |trainer \w+ )", block.text, re.MULTILINE)
        ):
            found.append(f"{block.place}: commands belong in a block of bash or console, so that they are run")
        if block.language == "console" and not block.script:
            found.append(f"{block.place}: a console without a line that begins with `$ `")
        if unknown := block.marks.keys() - known:
            found.append(f"{block.place}: unknown comments: {', '.join(sorted(unknown))}")
        if "not run" in block.marks and not block.marks["not run"]:
            found.append(f"{block.place}: `not run` gives no reason")
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if re.match(r" {4,}(\$ |trainer |curl |pip |python )", line) and not _fenced(page, number):
            found.append(f"{page.relative_to(ROOT)}:{number}: commands belong in a fenced block, so that they are run")
    return found


def _fenced(page: Path, number: int) -> bool:
    return any(b.line < number <= b.line + b.text.count("\n") + 1 for b in blocks(page))


def divided(script: str) -> tuple[str, list[tuple[str, str]]]:
    """What of a script can be run here, and the lines that cannot, each with what it needs."""
    kept, left = [], []
    for line in re.findall(r"(?:.*\\\n)*.*\n", script):
        need = next((need for word, need in NEEDS.items() if re.search(word, line)), None)
        if need is None:
            kept.append(line)
        else:
            left.append((re.sub(r"\s+#\s.*|\s{2,}", "", line.strip()), need))
    return "".join(kept), left
