"""A Slurm cluster of many nodes, simulated: for sweeps of thousands of jobs, of which none trains.

One process is the controller and all nodes; sbatch, squeue, sacct and scancel are shell scripts on PATH that ask it.
When a job's time is over, its node writes what a job leaves: result.json and the pickle that submitit waits for.
`ran.log` has a line for each job that begins, and for each that ends. Some calls fail and some jobs die, as on a busy
cluster.
"""

import argparse
import contextlib
import heapq
import json
import os
import random
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.system.workers import end_with

ASK = """#!/bin/bash
exec 3<> /dev/tcp/127.0.0.1/{port} || exit 1
{{ printf '{command}'; printf '\\t%s' "$@"; echo; }} >&3
read -r code <&3
IFS= read -r -d '' said <&3
if [[ $code == 0 ]]; then printf '%s' "$said"; else printf '%s' "$said" >&2; fi
exit "$code"
"""
COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "srun", "told")
BUSY = "error: Batch job submission failed: Socket timed out on send/recv operation\n"
NO_CONTROLLER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
SCHEDULING = 0.3  # seconds after which a job may begin at the soonest
WITHOUT_PICKLE = 1.0  # seconds for which a job waits for what it is to run; submitit's own waits a minute


@dataclass
class Job:
    """A job that sbatch has handed over."""

    id: str
    name: str
    folder: Path  # in which submitit keeps its files
    state: str = "PENDING"

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.id}_{ending}"

    @property
    def queued(self) -> bool:
        return self.state in ("PENDING", "RUNNING")


@dataclass
class Controller:
    """The queue, and the nodes."""

    folder: Path
    nodes: int
    seconds: float  # that a job runs for, on average
    busy: float  # the share of calls that the controller has no time for
    dying: float  # the share of jobs that die without a result
    limit: int  # so many jobs may be in the queue
    jobs: dict[str, Job] = field(default_factory=dict)
    waiting: deque[Job] = field(default_factory=deque)
    events: list[tuple[float, int, str]] = field(default_factory=list)  # when, which job, what
    running: int = 0
    told: Counter[str] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def answer(self, command: str, words: list[str]) -> tuple[int, str]:
        """The exit code and the output of one of Slurm's commands."""
        self.told[command] += 1
        if command == "told":
            return 0, json.dumps(dict(self.told))
        if command == "sbatch":
            return self._sbatch(Path(words[0]))
        if self.dice.random() < self.busy:
            self.told[f"{command} refused"] += 1
            return 1, NO_CONTROLLER
        if command == "squeue":
            form = next(word.partition("=")[2] for word in words if word.startswith("--format="))
            lines = [_formatted(form, job) for job in self.jobs.values() if job.queued]
        elif command == "sacct":
            asked = ",".join(words[at + 1] for at, word in enumerate(words) if word == "-j").split(",")
            self.told["jobs asked of sacct"] += len(asked)
            lines = [f"{job}|{self.jobs[job].state}" for job in asked if job in self.jobs]
        else:
            for word in words:
                if word in self.jobs:
                    self._cancel(self.jobs[word])
            lines = []
        return 0, "".join(f"{line}\n" for line in lines)

    def _sbatch(self, script: Path) -> tuple[int, str]:
        if sum(job.queued for job in self.jobs.values()) >= self.limit:
            self.told["sbatch over the limit"] += 1
            return 1, "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed\n"
        refused = self.dice.random() < self.busy
        if refused:
            self.told["sbatch refused"] += 1
        if not refused or self.dice.random() < 0.5:  # Slurm may take a job whose sbatch has lost patience
            text = script.read_text()
            name = re.search("^#SBATCH --job-name='?(.*?)'?$", text, re.MULTILINE)
            job = Job(str(1000 + len(self.jobs)), name[1] if name else "", script.parent)
            self.jobs[job.id] = job
            self._later(SCHEDULING, job, "wait")
        return (1, f"sbatch: {BUSY}") if refused else (0, f"Submitted batch job {job.id}\n")

    def _cancel(self, job: Job) -> None:
        if job.state == "PENDING":
            job.state = "CANCELLED by 0"
        elif job.state == "RUNNING":
            self._later(0.05, job, "stop")

    def work(self) -> float:
        """Begin and end the jobs whose time has come; how many seconds the next one has left."""
        now = time.monotonic()
        while self.events and self.events[0][0] <= now:
            _, number, what = heapq.heappop(self.events)
            job = self.jobs[str(number)]
            if what == "wait" and job.state == "PENDING":
                self.waiting.append(job)
            elif job.state == "RUNNING":
                self._end(job, what)
        while self.waiting and self.running < self.nodes:
            job = self.waiting.popleft()
            if job.state == "PENDING":
                self._begin(job)
        return max(0.0, self.events[0][0] - time.monotonic()) if self.events else 1.0

    def _begin(self, job: Job) -> None:
        job.state = "RUNNING"
        self.running += 1
        job.file("0_log.out").touch()
        job.file("0_log.err").touch()
        dies = self.dice.random() < self.dying
        whole = job.file("submitted.pkl").exists()
        self._note("began" if whole else "waits", job)
        self._later(self.dice.expovariate(1 / self.seconds) if whole else WITHOUT_PICKLE, job, "die" if dies else "end")

    def _later(self, seconds: float, job: Job, what: str) -> None:
        heapq.heappush(self.events, (time.monotonic() + seconds, int(job.id), what))

    def _end(self, job: Job, what: str) -> None:
        self.running -= 1
        if not job.file("submitted.pkl").exists():
            job.state, what = "FAILED", "nothing"
        elif what == "die":
            job.state = "NODE_FAIL"
        else:
            job.state = "CANCELLED by 0" if what == "stop" else "COMPLETED"
            _leave_result(job, self.dice.random(), what == "stop")
        self._note({"end": "ended", "stop": "stopped", "die": "died"}.get(what, what), job)

    def _note(self, what: str, job: Job) -> None:
        with open(self.folder / "ran.log", "a") as file:
            file.write(f"{what} {job.id} {job.name.rpartition('-')[2]}\n")


def _formatted(form: str, job: Job) -> str:
    for letter, value in (("%i", job.id), ("%j", job.name), ("%T", job.state)):
        form = form.replace(letter, value)
    return form


def _leave_result(job: Job, value: float, stopped: bool) -> None:
    """Write what the job of a node leaves behind."""
    from submitit.core.utils import DelayedSubmission, cloudpickle_dump

    from trainer.run import records

    planned, place = DelayedSubmission.load(job.file("submitted.pkl")).args
    os.chdir(place.directory)
    if stopped:
        records.write_result(planned.directory, {"status": "interrupted", "metrics": {}, "error": "last.pt is written"})
        outcome = planned.ended("interrupted", "last.pt is written")
    else:
        metrics = {"test/accuracy": value, "test/loss": 1 - value, "val/accuracy": value, "val/loss": 1 - value}
        objective = {"name": "val/accuracy", "direction": "max", "value": value}
        found = {"status": "completed", "metrics": metrics, "objective": objective, "best_epoch": 1, "seconds": 60.0}
        records.write_result(planned.directory, found)
        outcome = planned.completed(records.read_result(planned.directory))
    part = job.file("result.part")
    cloudpickle_dump(("success", outcome), part)
    part.rename(job.file("0_result.pkl"))


def serve(controller: Controller, listener: socket.socket) -> None:
    """Answer the commands and run the jobs, until the process is ended."""
    waits = selectors.DefaultSelector()
    waits.register(listener, selectors.EVENT_READ)
    while True:
        if waits.select(controller.work()):
            connection, _ = listener.accept()
            with connection, connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
                command, *words = stream.readline().rstrip("\n").split("\t")
                code, said = controller.answer(command, words)
                with contextlib.suppress(BrokenPipeError):  # whoever asked has been killed
                    stream.write(f"{code}\n{said}")
                    stream.flush()


@dataclass
class Simulated:
    """A cluster that runs."""

    folder: Path

    @property
    def path(self) -> str:
        """The PATH on which its commands are found first."""
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def told(self) -> dict[str, int]:
        """How often each command was called, and more that was counted."""
        ran = subprocess.run([self.folder / "bin" / "told"], capture_output=True, text=True, check=True, timeout=60)
        found: dict[str, int] = json.loads(ran.stdout)
        return found

    def ran(self, what: str) -> Counter[int]:
        """How often each job of the sweep `began`, `ended`, `died` or was `stopped`."""
        log = self.folder / "ran.log"
        lines = [line.split() for line in (log.read_text() if log.exists() else "").splitlines()]
        return Counter(int(job) for word, _, job in lines if word == what)


@contextlib.contextmanager
def simulated(folder: Path, **settings: float) -> Iterator[Simulated]:
    """A cluster within the block; `settings` are those of the command below."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    words = [f"--{name}={value}" for name, value in settings.items()]
    with subprocess.Popen(
        [sys.executable, __file__, folder, *words], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            for command in COMMANDS:
                path = programs / command
                path.write_text(ASK.format(port=port, command=command))
                path.chmod(0o755)
            yield Simulated(folder)
        finally:
            process.kill()


def main() -> None:
    """Be the cluster; the first line of output is its port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given: dict[str, Any] = {"nodes": 100, "seconds": 1.0, "busy": 0.0, "dying": 0.0, "limit": 10**6}
    for name, usual in given.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    asked = parser.parse_args()
    end_with(os.getppid())
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(Controller(**vars(asked)), listener)


if __name__ == "__main__":
    main()
