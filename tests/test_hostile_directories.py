"""Directories of strangers do no harm: a sample of `python -m tests.soak strangers fuzz`. And harm would be seen."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from soak import fuzz, strangers
from soak.directories import bases
from soak.directories.arena import MODULE, Arena
from soak.directories.cases import CASES
from soak.directories.kinds import kinds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the arena reads /proc")
# One of each kind of attack, of those that once worked where there are such.
SAMPLE = (
    "code: config.yaml, a command as the model",
    "code: config.yaml, YAML's apply",
    "code: a sweep's words, +model as a dictionary",
    "code: a sweep's words, optim's target",
    "code: a sweep's words, an experiment upwards",
    "code: a sweep's words, --config-dir and its value",
    "code: a sweep's words, hydra.searchpath",
    "code: a search's words, ++data as a dictionary",
    "code: modules beside the sweep",
    "shell: sweep.setup",
    "shell: Ray's address",
    "environment: config.yaml, name",
    "environment: config.yaml, seed",
    "environment: config.yaml, a chain",
    "environment: overrides.yaml of a sweep, quoted",
    "links: a run's train.log is a link to a file elsewhere",
    "links: a run's checkpoints lie elsewhere",
    "links: a run's config.yaml is a pipe",
    "links: a sweep's sweep.jsonl is a link to a file elsewhere",
    "links: a sweep's 1 is a link to a folder elsewhere",
    "links: a search's study.journal is a link to a private file",
    "paths: config.yaml, data=mnist elsewhere",
    "paths: a sweep's words, name, upwards",
    "texts: config.yaml is a thousand aliases",
    "texts: plan.json is a huge integer in a dictionary",
    "texts: sweep.jsonl is deep lists",
    "texts: config.yaml of ten gigabytes",
    "values: metrics.jsonl, epoch is a list",
    "values: sweep.jsonl, metrics is a text",
    "values: 0/result.json, objective.value is a text",
    "names: an event file's stamp, a superscript",
    "names: sweep.jsonl, its error, an escape code",
    "journal: choices of code",
    "journal: trials of state 99",
    "structure: a sweep with the files of a run",
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("strangers")
    made = Arena(folder / "arena", bases.made(folder / "bases"))
    yield made
    made.close()


@pytest.mark.parametrize("name", SAMPLE)
def test_a_hostile_directory_is_harmless(arena: Arena, name: str) -> None:
    case = CASES[name]
    done = arena.run(case.base, case.make, *case.commands[0])
    assert done.faults == []


@pytest.mark.slow
def test_whatever_is_changed_in_a_file_does_no_harm(arena: Arena) -> None:
    faults = []
    for name, kind in kinds(arena.bases).items():
        for number in range(2):
            case = kind.case(number, name)
            done = arena.run(case.base, case.make, *case.commands[0])
            faults += [f"{name}, {number}: {fault}" for fault in done.faults]
    assert faults == []


@pytest.mark.parametrize("base", ["run", "sweep", "search"])
def test_an_honest_directory_is_resumed_without_a_word(arena: Arena, base: str) -> None:
    done = arena.run(base, lambda place: None, "resume", "IT")
    assert (done.code, done.err, done.faults) == (0, "", [])


# --- what the user types does happen, and the arena sees it -----------------------------------------------


def seen(arena: Arena, base: str, *words: str) -> str:
    return "; ".join(arena.run(base, lambda place: None, *words).faults)


def test_code_that_runs_is_seen(arena: Arena) -> None:
    faults = seen(arena, "run", "train", "data=diabetes", f"model._target_={MODULE}.Thing")
    assert f"import {MODULE}" in faults
    assert "made here: canary" in faults


def test_a_program_that_is_started_is_seen(arena: Arena) -> None:
    assert "subprocess.Popen ('sbatch'" in seen(arena, "sweep", "resume", "IT", "sweep=slurm")


def test_what_is_written_elsewhere_is_seen(arena: Arena) -> None:
    faults = seen(arena, "run", "train", "from=IT", "epochs=1", "plots=false", "output=../outside/theirs")
    assert "open for writing" in faults
    assert "made outside: theirs" in faults


def test_a_secret_of_the_environment_is_seen(arena: Arena) -> None:
    faults = seen(arena, "run", "train", "from=IT", "epochs=1", "plots=false", "name=${oc.env:SECRET}")
    assert "the environment shows in train.log" in faults


def test_a_file_elsewhere_that_is_read_is_seen(arena: Arena) -> None:
    faults = seen(arena, "run", "train", "data=csv", "data.path=../outside/private.csv", "data.target=y")
    assert "open '../outside/private.csv'" in faults


# --- larger samples ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_three_hundred_hostile_directories_are_harmless(tmp_path: Path) -> None:
    found = strangers.run(300, tmp_path, print)
    assert found.misses == []
    assert found.counts["directories"] == 300


@pytest.mark.slow
def test_changed_files_of_every_kind_are_harmless(tmp_path: Path) -> None:
    assert fuzz.run(20, tmp_path, print).misses == []


def test_there_are_as_many_as_we_say() -> None:
    assert len(CASES) >= 5_000
