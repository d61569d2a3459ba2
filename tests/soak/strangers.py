"""Directories of strangers, each with an attack or a fault in it, and the commands that read them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from .directories import bases
from .directories.arena import Arena
from .directories.cases import CASES
from .directories.making import Case
from .figures import Figures

COUNT = 100_000  # all of them
PART = 200  # cases
Part = tuple[str, Iterable[tuple[str, Case]]]  # what its cases have in common, and the cases by their names


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """Every hostile directory is harmless: nothing runs, leaks, hangs or is written elsewhere; at most `count`."""
    names = list(CASES)
    if count < len(names):
        names = [names[len(names) * i // count] for i in range(count)]
    parts = [names[first : first + PART] for first in range(0, len(names), PART)]
    made = bases.made(folder / "bases")
    return judged([(f"up to {part[-1]}", [(name, CASES[name]) for name in part]) for part in parts], made, folder, say)


def judged(parts: list[Part], made: dict[str, bases.Tree], folder: Path, say: Callable[[str], None]) -> Figures:
    """What the commands of all cases did, several parts at once, each with a process for itself."""
    figures, idle = Figures(), SimpleQueue[Arena]()
    arenas = [Arena(folder / f"arena{number}", made) for number in range(min(len(parts), os.cpu_count() or 1, 8))]
    for arena in arenas:
        idle.put(arena)

    def judge(part: Part) -> Figures:
        arena = idle.get()
        try:
            found = Figures()
            for name, case in part[1]:
                _judge(arena, name, case, found)
            return found
        finally:
            idle.put(arena)

    try:
        with ThreadPoolExecutor(len(arenas)) as pool:
            for part, found in zip(parts, pool.map(judge, parts), strict=True):
                for what, number in found.counts.items():
                    figures.add(what, number)
                figures.misses += found.misses
                commands, faults = found.counts["commands"], len(found.misses)
                say(f"{part[0][:90]}: {commands:,} commands, {faults:,} with faults")
    finally:
        for arena in arenas:
            arena.close()
    return figures


def _judge(arena: Arena, name: str, case: Case, figures: Figures) -> None:
    figures.add("directories")
    for words in case.commands:
        done = arena.run(case.base, case.make, *words)
        figures.add("commands")
        figures.add(f"exit code {done.code}" if done.code is not None else "hung")
        figures.expect(not done.faults, f"{name} | {' '.join(words)} | {'; '.join(done.faults)}")
