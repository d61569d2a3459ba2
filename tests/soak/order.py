"""The order of system calls of a save, as strace sees them: nothing gets a name before it is on the disk."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from processes import machine

from .figures import Figures, the_run
from .trainings import TRAININGS, command

COUNT = 3
CALLS = "openat,write,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
# A save: the part is written and brought to the disk; the previous file gets its second name; the part takes its
# place; the directory is brought to the disk.
SAVE = re.compile(r"^open (write )+sync (keep )?(link rename-previous (keep )?)?rename sync-directory $")


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Every save of `count` trainings under strace."""
    if shutil.which("strace") is None:
        return Figures(skipped="there is no strace")
    figures = Figures({"saves": 0, "of last.pt, with the previous one kept": 0})
    with machine(folder) as trainers:
        for number in range(count):
            name = list(TRAININGS)[number % len(TRAININGS)]
            output, trace = folder / f"traced-{number}", folder / f"{number}.strace"
            under = ("strace", "-f", "-y", "--seccomp-bpf", "-s", "0", "-e", f"trace={CALLS}", "-o", str(trace))
            ended = trainers.run(
                *command(name), "epochs=2", "data.limit=40", f"output={output}", fresh=True, under=under
            )
            if "ptrace" in ended.err and ended.code != 0:
                return Figures(skipped=f"strace may not trace here: {ended.err.strip()[-200:]}")
            assert ended.code == 0, ended.err
            run = the_run(output)
            assert run is not None
            _check(trace.read_text(errors="replace").splitlines(), run, figures)
            say(f"{figures.counts['saves']:.0f} saves")
    return figures


def _check(lines: Iterable[str], run: Path, figures: Figures) -> None:
    threads: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for thread, call, path in _calls(lines):
        if path == str(run) or path.startswith(f"{run}/"):
            threads[thread].append((call, path))
    for calls in threads.values():
        for path, words in _saves(calls):
            figures.add("saves")
            figures.add("of last.pt, with the previous one kept", "link" in words)
            figures.expect(SAVE.match(words), f"{path.name}: {words}")
    figures.expect(figures.counts["saves"] >= 10, "the trace does not show the saves")


def _calls(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Thread, call and the path it is for, in the order in which they returned."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = begun.pop(thread, "") + text.partition("resumed>")[2]
        found = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", text)
        if found is None or found[3].startswith("-"):
            continue
        call, args = found[1], found[2]
        if call in ("write", "fsync", "fdatasync"):
            path = (re.match(r"\d+<(.*?)>", args) or [""] * 2)[1]
        else:
            path = (re.findall(r'"(.*?)"', args) or [""])[-1]
            within = re.match(r'(?:AT_FDCWD|\d+)<(.*?)>, "', args) if call == "openat" else None
            path = os.path.join(within[1], path) if within else path  # as it is, where it is absolute
        if call == "openat" and "O_CREAT" not in args:
            continue
        yield thread, call.removesuffix("at2").removesuffix("at"), path


def _saves(calls: Iterable[tuple[str, str]]) -> Iterator[tuple[Path, str]]:
    """Of each file that is written whole or not at all: what was done for it, in words."""
    path, words = Path(), ""
    for call, name in calls:
        part = Path(name)
        if call == "open":
            if words:
                yield path, words
            words = ""
            if part.name.endswith(".part"):
                path, words = part.with_name(part.name.removeprefix(".").removesuffix(".part")), "open "
        elif words:
            words += _word(call, part, path)
    if words:
        yield path, words


def _word(call: str, named: Path, path: Path) -> str:
    previous = named.name in (".previous.pt.part", "previous.pt")
    if call in ("fsync", "fdatasync"):
        return "sync-directory " if named == path.parent else "sync " if named.name == f".{path.name}.part" else ""
    if call == "write":
        return "write " if named.name == f".{path.name}.part" else ""
    if previous:
        return {"link": "link ", "rename": "rename-previous ", "unlink": "keep "}[call]
    return f"{call} "
