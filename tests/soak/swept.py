"""kill -9 of sweeps and searches at any moment: each job is done once, and equal to what nobody disturbed.

A parallel sweep, and a search in batched form, are equal to the bit; a batched sweep within rounding, for the jobs that
are resumed are stacked in other numbers. It is in double precision: a job that is not stable makes rounding larger.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

import batching
import optuna
import resuming
import running
from processes import Machine, Running, machine, until

from .figures import Figures

COUNT = 150
PER_SWEEP = 5
ROUNDING = 1e-8  # relative, in double precision
TRAINED = (*running.SILENT, "model=linear", "data.limit=100", "data.batch_size=10", "checkpoint.every_steps=7")
SPACE = ("optim.lr=tag(log,interval(1e-3,1))", "optim.weight_decay=interval(0,0.1)", "search.seed=1")
SEARCH = ("-m", "search=optuna", *SPACE, "search.trials=14", "search.startup=3", "search.at_once=5", *TRAINED)
GRID = ("-m", "seed=0,1,2,3", "optim.lr=0.01,0.1", *TRAINED, "epochs=12")
KINDS = {
    "parallel": (*GRID, "sweep=parallel", "sweep.jobs=2"),
    "batched": (*GRID, "sweep=batched", "precision=float64"),
    "searched": (*SEARCH, "epochs=12", "sweep=batched", "objective=val/loss"),
}


def run(count: int, folder: Path, say: Callable[[str], None]) -> Figures:
    """`count` kills of sweeps in parallel and batched form, and of batched searches."""
    figures, dice = Figures(), random.Random(0)
    with machine(folder) as trainers:
        whole: dict[str, Path] = {}
        number = 0
        while sum(figures.counts.get(f"kills, {kind}", 0) for kind in KINDS) < count:
            kind = list(KINDS)[number % len(KINDS)]
            if kind not in whole:
                assert trainers.run("train", *KINDS[kind], f"output={folder / kind}").code == 0
                (whole[kind],) = (folder / kind).glob("sweeps/*/*")
            wanted = min(PER_SWEEP, max(1, count // len(KINDS)))
            parts = _killed(trainers, kind, folder / f"{kind}-{number}", wanted, figures, dice)
            _compare(kind, whole[kind], parts, f"{kind} {number}", figures)
            number += 1
            say(", ".join(f"{value:.0f} {name}" for name, value in figures.counts.items() if name.startswith("kills")))
    return figures


def _killed(trainers: Machine, kind: str, output: Path, wanted: int, figures: Figures, dice: random.Random) -> Path:
    """A sweep that was killed so many times, and resumed to its end."""
    words: tuple[str, ...] = ("train", *KINDS[kind], f"output={output}")
    done = 0
    while done < wanted:
        sweep = trainers.start(*words)
        _wait(sweep, output, dice)
        sweep.kill()
        ended = sweep.wait()
        sweep.leaves_nobody()
        found = [path.parent for path in output.glob("sweeps/*/*/overrides.yaml")]
        if ended.code == 0 or not found:
            figures.add(f"kills that came too {'late' if ended.code == 0 else 'early'}")
            if ended.code == 0:
                return found[0]
            output = output.with_name(f"{output.name}x")
            words = ("train", *KINDS[kind], f"output={output}")
            continue
        figures.expect(ended.code == -9, f"{output.name}: it ended with {ended.code}: {ended.err[-500:]}")
        figures.add(f"kills, {kind}")
        done += 1
        words = ("resume", str(found[0]))
    ended = trainers.run(*words)
    figures.expect(ended.code == 0, f"{output.name}: the resume ended with {ended.code}: {ended.err[-500:]}")
    return Path(words[1])


def _wait(sweep: Running, output: Path, dice: random.Random) -> None:
    """For a moment after something has been written that was not there."""

    def written() -> int:
        return sum(path.stat().st_mtime_ns for path in output.glob("sweeps/*/*/*/checkpoints") if path.exists())

    for _ in range(dice.choice((0, 1, 2, 5, 10, 20))):
        before = written()
        until(lambda before=before: sweep.ended() or written() != before, 20, pause=0.001)
    until(sweep.ended, 0.02 * dice.random(), pause=0.001)


def _compare(kind: str, whole: Path, parts: Path, what: str, figures: Figures) -> None:
    figures.add("sweeps compared")
    lines = [json.loads(line) for line in (parts / "sweep.jsonl").read_text().splitlines()]
    over = [line["job"] for line in lines if line["status"] != "interrupted"]
    jobs = sorted(int(path.name) for path in whole.iterdir() if path.name.isdigit())
    figures.expect(sorted(over) == jobs, f"{what}: these jobs are done: {over}")
    for job in map(str, jobs):
        if kind == "batched":
            different = batching.differences(
                batching.contents(parts / job), batching.contents(whole / job), close=ROUNDING
            )
        else:
            different = resuming.differences(whole / job, parts / job)
        figures.add("jobs not equal", bool(different))
        figures.expect(not different, f"{what}: job {job}: {'; '.join(different[:3])}")
        figures.expect_tidy(parts / job, what)
    if kind == "searched":
        tried = [_trials(sweep) for sweep in (whole, parts)]
        figures.add("trials pruned", sum(trial[2] == optuna.trial.TrialState.PRUNED for trial in tried[1]))
        figures.expect(tried[0] == tried[1], f"{what}: other trials, values or ends of them")


def _trials(sweep: Path) -> list[tuple[object, ...]]:
    backend = optuna.storages.journal.JournalFileBackend(str(sweep / "study.journal"))
    found = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials
    return [(t.number, t.params, t.state, t.value, t.intermediate_values, t.user_attrs) for t in found]
