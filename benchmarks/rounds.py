"""Rounds: every contender once, in an order that rotates; a disturbed round is thrown away and repeated."""

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.figures import Round, samples
from benchmarks.guard import Guard
from benchmarks.processes import Ran, run
from benchmarks.workloads import PEERS, Case, Settings, Workload

ROOT = Path(__file__).resolve().parent.parent
Say = Callable[[str], None]


class ContenderError(Exception):
    """A contender's process failed."""


@dataclass
class Measured:
    """What a workload's rounds gave."""

    rounds: list[Round] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)  # why, for each round that was thrown away
    absent: dict[str, str] = field(default_factory=dict)  # contender -> why it did not compete
    chosen: dict[str, str] = field(default_factory=dict)  # contender -> its fastest variant
    guarded: bool = True  # whether the system says what others used


class Bench:
    """Measures workloads, in folders of its own that are gone afterwards."""

    def __init__(self, settings: Settings, guard: Guard, only: Sequence[str], scratch: Path, say: Say) -> None:
        self.settings, self.guard, self.only, self.scratch, self.say = settings, guard, only, scratch, say
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "TRAINER_DATA": str(settings.data),
            # Nobody's own caches and settings: neither used nor changed.
            "TRAINER_CACHE": str(scratch / "cache"),
            "KERAS_HOME": str(scratch / "keras"),
        }
        # Packages are installed compiled; a checkout is to be no slower.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if settings.device == "cpu":
            self.environment["CUDA_VISIBLE_DEVICES"] = ""  # for those that take a GPU where they see one

    def measure(self, workload: Workload, rounds: int, repeats: int) -> Measured:
        """`rounds` undisturbed rounds, or fewer once `repeats` others have been thrown away."""
        result = Measured()
        cases = self._competing(workload, result)
        while cases and len(result.rounds) < rounds and len(result.discarded) <= repeats:
            turn = 0 if workload.in_order else (len(result.rounds) + len(result.discarded)) % len(cases)
            found, objection, guarded = self._round(workload, cases[turn:] + cases[:turn])
            result.guarded &= guarded
            if objection:
                result.discarded.append(objection)
                self.say(f"{workload.name}: a round is discarded: {objection}")
                continue
            result.rounds.append(found)
            self.say(f"{workload.name}: round {len(result.rounds)} of {rounds}")
        return result

    def _round(self, workload: Workload, cases: Sequence[Case]) -> tuple[Round, str, bool]:
        """The samples; why they do not count; whether the guard could see."""
        found: Round = {}
        guarded = True
        with self._folder() as folder:
            for case in cases:
                ran = self._run(case, folder)
                guarded &= ran.others is not None
                objection = self.guard.objection(ran.wall, ran.others)
                if objection:
                    return {}, f"{case.name}: {objection}", guarded
                found |= samples(case.name, ran, workload.figures[0])
        return found, "", guarded

    def _competing(self, workload: Workload, result: Measured) -> list[Case]:
        """The cases that are asked for, installed and working, each in its fastest variant."""
        tiny = {case.name: case for case in workload.cases(self.settings.tiny)}
        cases = []
        with self._folder() as folder:
            for case in workload.cases(self.settings):
                if self.only and case.name in PEERS and case.name not in self.only:
                    continue
                if case.needs is not None and not _installed(case.needs):
                    result.absent[case.name] = f"{case.needs} is not installed"
                    continue
                if self.settings.limit is None:  # does it run at all? This fills caches, too.
                    self.say(f"{workload.name}: trying {case.name}")
                    try:
                        self._run(tiny[case.name], folder)
                    except ContenderError as error:
                        result.absent[case.name] = str(error)
                        self.say(f"{workload.name}: {error}")
                        continue
                cases.append(case)
        return [self._fastest(workload, case, result) for case in cases]

    def _fastest(self, workload: Workload, case: Case, result: Measured) -> Case:
        """`case` with the words of its fastest variant, by two short epochs each."""
        if not case.variants:
            return case
        if self.settings.limit is not None:
            return case.adding(case.variants[0])
        shorter = workload.cases(replace(self.settings, limit=20_000, epochs=2))
        (short,) = (other for other in shorter if other.name == case.name)
        seconds = {}
        for words in case.variants:
            self.say(f"{workload.name}: trying {case.name} {' '.join(words)}")
            for _ in range(3):  # at most so often, should it be disturbed
                with self._folder() as folder:
                    ran = self._run(short.adding(words), folder)
                if not self.guard.objection(ran.wall, ran.others):
                    break
            (sample,) = samples(case.name, ran, workload.figures[0]).values()
            seconds[words] = sample[workload.figures[0]]
        best = min(seconds, key=lambda words: seconds[words])
        result.chosen[case.name] = " ".join(best).removeprefix("--")
        return case.adding(best)

    def _run(self, case: Case, folder: Path) -> Ran:
        """One process in a new folder below `folder`, the round's own."""
        directory = Path(tempfile.mkdtemp(dir=folder))
        ran = run([word.replace("{round}", str(folder)) for word in case.words], directory, self.environment)
        if ran.code != 0:
            said = [line.strip() for line in ran.said.splitlines() if line.strip()]
            raise ContenderError(f"{case.name} failed: {' / '.join(said[-2:]) or f'exit code {ran.code}'}")
        return ran

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            yield Path(name)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it is part of
        return False
