"""The looks of `trainer check` at the machine: what it has not enough of, as a test pretends."""

import re
import shutil
from pathlib import Path

import pretending
import pytest
import torch
from conftest import Trainer
from test_check import reported

from trainer.preflight.machine import memory

SMALL = ("model=linear", "data.limit=200")


def test_the_memory_of_a_step_is_that_of_its_tensors() -> None:
    taken = memory.Meter(torch.device("cpu"))
    before = taken.start()
    one = torch.ones(2**23)
    assert one.nbytes <= taken.peak() - before < 1.1 * one.nbytes


def test_a_batch_that_does_not_fit_is_named_with_the_largest_that_does(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**24)
    ran = trainer("check", *SMALL, "data.batch_size=200", "model=lenet", "check.only=memory")
    assert ran.code == 1
    found = re.search(r"a step of 180 takes [\d.]+ MiB of 16\.0 MiB free on cpu", ran.out)
    assert found, ran.out
    advised = re.search(r"data.batch_size=(\d+) accumulate=(\d+)", ran.out)
    assert advised is not None
    assert 8 <= int(advised[1]) < 180 <= int(advised[1]) * int(advised[2])


@pytest.mark.slow
def test_a_time_limit_within_the_first_epoch_is_wrong(trainer: Trainer) -> None:
    ran = trainer("check", *SMALL, "max_minutes=0.01", "epochs=100", "check.only=time")
    assert (ran.code, reported(ran)) == (1, ["time in all"]), ran.out


@pytest.mark.parametrize("free", [0, 2**40])
def test_checkpoints_have_to_fit_on_the_disk(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(2**41, 2**41 - free, free))
    ran = trainer("check", *SMALL, "check.only=disk")
    assert (ran.code, reported(ran)) == ((0, []) if free else (1, ["disk"])), ran.out


def test_a_run_cannot_lie_below_a_file(trainer: Trainer) -> None:
    Path("taken").write_text("")
    ran = trainer("check", *SMALL, "output=taken/runs", "check.only=disk")
    assert (ran.code, reported(ran)) == (1, ["disk"]), ran.out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
def test_processes_that_read_need_cores_and_shared_memory(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed = (*SMALL, "data.placement=stream", "check.only=workers")
    pretending.cores(monkeypatch, 2)
    pretending.free_shared_memory(monkeypatch, 2**30)
    assert trainer("check", *streamed, "data.workers=2").code == 0
    ran = trainer("check", *streamed, "data.workers=3")
    assert (ran.code, reported(ran)) == (1, ["workers"]), ran.out
    pretending.free_shared_memory(monkeypatch, 2**10)
    ran = trainer("check", *streamed, "data.workers=2")
    assert (ran.code, reported(ran)) == (1, ["shared memory"]), ran.out


@pytest.mark.parametrize(("cores", "quota", "wrong"), [(4, "max 100000\n", []), (2, "", ["threads"])])
def test_threads_are_no_more_than_cores(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, cores: int, quota: str, wrong: list[str]
) -> None:
    pretending.cores(monkeypatch, cores)
    pretending.system_files(monkeypatch, {"/sys/fs/cgroup/cpu.max": quota} if quota else {})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    ran = trainer("check", *SMALL, "check.only=threads")
    assert (ran.code, reported(ran)) == (1 if wrong else 0, wrong), ran.out


def test_threads_are_no_more_than_a_container_allows(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.cores(monkeypatch, 64)
    pretending.system_files(monkeypatch, {"/sys/fs/cgroup/cpu.max": "200000 100000\n"})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    ran = trainer("check", *SMALL, "check.only=threads")
    assert (ran.code, reported(ran)) == (1, ["threads"]), ran.out
    assert "64 threads on 64 cores, of which the container allows 2" in ran.out
    assert "export OMP_NUM_THREADS=2" in ran.out
