"""Jobs in the queue of a Slurm cluster, through submitit: sbatch hands them over, and a file of each says how it ended.

Slurm itself is asked seldom, and in one call for all jobs: squeue for those that have left the queue without such a
file, and sacct why.
"""

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.run import directory as runs
from trainer.run import records
from trainer.run.records import PRUNED
from trainer.run.sweep_log import Outcome
from trainer.sweeps.concurrent import Concurrent, Submitted, library
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.refusals import RefusedError
from trainer.sweeps.runner import Done
from trainer.sweeps.slurm_files import Handed, forget, handed_over, tidy
from trainer.sweeps.slurm_queue import FRESH, Queue
from trainer.sweeps.worker import Place, work
from trainer.system.errors import ConfigError, RunError
from trainer.system.forking import environment, lies_in
from trainer.system.machine import cores
from trainer.system.shown import counted, printable
from trainer.system.signals import blocked

FOLDER = "slurm"  # in the sweep's directory
IN_QUEUE = 16
LATE_SECONDS = 15.0  # a file may arrive over a network so much later than Slurm says that its job has ended
CONTROLLER = 120.0  # seconds for which squeue has to answer, before jobs might be run twice
STOPPING = 2.0  # seconds between two looks at jobs that have been told to stop
COMMANDS = ("sbatch", "srun", "squeue", "sacct", "scancel")
# In what sbatch says when the controller has no time.
BUSY = ("timed out", "unable to contact", "temporarily un", "connect failure", "zero bytes", "try again")


def check(settings: Any) -> None:
    """Check before anything is written that submitit and Slurm are there.

    Raises:
        ConfigError: submitit is not installed, or this machine does not belong to a Slurm cluster.
    """
    library("submitit", "slurm")
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if settings.cluster == "slurm" and missing:
        raise ConfigError(
            f"sweep=slurm: there is no {missing[0]} on this machine",
            "start it on a login node of the cluster, or try it here: sweep.cluster=local",
        )
    _options(settings.options)


class Slurm(Concurrent[Handed]):
    """Each job is one of Slurm's, or with `sweep.cluster=local` a process that submitit starts on this machine."""

    stop_seconds = 60.0  # Slurm kills a job that has not ended 30 s (KillWait) after it was told to

    def __init__(self, settings: Any, monitor: Monitor, done: Done) -> None:
        super().__init__(settings, monitor, done)
        self.local = settings.cluster == "local"
        self.places = settings.jobs or (cores() if self.local else IN_QUEUE)
        self.threads = settings.cpus_per_task
        if self.local and self.threads is None:
            self.threads = max(1, cores() // self.places)
        # Python leaves the current directory out of its path, lest a `types.py` of the user's is taken for its own.
        self.safe = not lies_in(os.getcwd())
        self.executor: Any = None
        self.folder: Path | None = None  # of this start, in which submitit keeps its files
        self.queue = Queue([f"--clusters={name}" for name in [_options(settings.options).get("clusters")] if name])
        self.ended_at: dict[str, float] = {}  # of jobs whose results have not come yet
        self.resumed = False  # whether there was an earlier start
        self.adopted: dict[int, Handed] = {}  # by their numbers: jobs that an earlier start has handed over
        self.cancelling: list[str] = []  # jobs that Slurm has to be told to stop

    def run(self, jobs: Iterator[Planned]) -> None:
        try:
            super().run(jobs)
        finally:
            if self.folder is not None:
                tidy(self.folder.parent)

    def over(self, planned: Planned) -> Outcome | None:
        if self.executor is None:
            self.executor = self._executor(planned.directory.parent)
        if self.resumed and planned.number not in self.adopted:  # it may have ended since the sweep was planned
            result = records.read_result(planned.directory)
            if result.get("status") == "completed":
                return planned.completed(result)
        return super().over(planned)

    def submit(self, planned: Planned) -> Handed:
        if planned.number in self.adopted:
            return self.adopted.pop(planned.number)
        sweep = planned.directory.absolute().parent.parent.name
        self.executor.update_parameters(name=f"{printable(sweep)[:100]}-{planned.number}", **self._tasks(planned))
        try:
            # `cancel` alone stops the jobs: Ctrl-C as well would end one of this machine without a checkpoint.
            here = {"PYTHONSAFEPATH": "1"} if self.local and self.safe else {}
            with blocked(signal.SIGINT, signal.SIGHUP), environment(here):
                submitted = self.executor.submit(work, planned, Place.here(self.threads))
                return Handed.of(submitted.task(0))  # which has the first rank, and says what has come of the job
        except (RuntimeError, BlockingIOError) as error:
            said = _said(str(error))
            busy = isinstance(error, BlockingIOError) or any(word in said.lower() for word in BUSY)
            hint = "see its keys: sweep.*"
            raise RefusedError(f"Slurm does not take job {planned.number}: {said}", hint, busy) from error

    def _tasks(self, planned: Planned) -> dict[str, int]:
        """How many tasks the job has: one for each of its ranks, unless it starts them itself."""
        config = planned.asked.config
        if self.local or config is None or not isinstance(config.devices, int):
            return {}
        return {"nodes": 1, "tasks_per_node": config.devices}

    def _executor(self, sweep: Path) -> Any:
        if not self.local:
            self.adopted = self._adopt(sweep / FOLDER)
        # The folder is new each time: results are pickles, and one that lies there already may be a stranger's.
        folder = runs.claim(sweep / FOLDER)
        path, self.folder = str(folder.absolute()), folder
        if "%" in path or printable(path) != path:
            raise ConfigError(
                f"{folder}: Slurm takes a % or a control character in a path for more than that", "choose another name="
            )
        python = shlex.join([sys.executable, *(["-P"] if self.safe else [])])
        executor = library("submitit", "slurm").AutoExecutor(
            folder=folder, cluster=self.settings.cluster, slurm_python=python
        )
        given = self.settings
        common = {name: getattr(given, name) for name in ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb")}
        executor.update_parameters(**common)
        if not self.local:
            executor.update_parameters(
                slurm_partition=given.partition,
                slurm_account=given.account,
                slurm_setup=given.setup or None,
                slurm_additional_parameters={**_options(given.options), "no-requeue": True},
                # Slurm's srun does not take the number over from sbatch.
                slurm_srun_args=[f"--cpus-per-task={given.cpus_per_task}"] if given.cpus_per_task else None,
            )
        self.screen.say(f"what {'submitit' if self.local else 'Slurm'} keeps of the jobs is in {folder}", style="dim")
        return executor

    def _adopt(self, folder: Path) -> dict[int, Handed]:
        """The jobs of this sweep that Slurm still has from an earlier start, by their numbers.

        What they leave is not unpickled, for such a file may be a stranger's: their result.json says how they ended.
        A job whose files were not in place when the sweep was killed ends by itself, and trains nothing.
        """
        self.resumed = folder.exists()
        known = handed_over(folder)
        if not known:
            return {}
        deadline = time.monotonic() + CONTROLLER
        with self.screen.doing("asking Slurm for the jobs that it still has"):
            while not self.queue.look(every=2.0):
                if time.monotonic() > deadline:
                    raise RunError(
                        "squeue does not answer: jobs of this sweep may still be in Slurm's queue",
                        "try again when it does, so that no job is run twice",
                    )
                time.sleep(1.0)
        job = library("submitit", "slurm").SlurmJob
        numbers = {self.queue.names[id].rpartition("-")[2]: id for id in known.keys() & self.queue.names.keys()}
        found = {int(n): Handed.of(job(known[id], id), True) for n, id in numbers.items() if n.isdecimal()}
        if found:
            are, them = ("is", "it") if len(found) == 1 else ("are", "them")
            jobs = counted(len(found), "job")
            self.screen.say(f"{jobs} of this sweep {are} still in Slurm's queue: waiting for {them}")
        return found

    def runs(self, job: Submitted[Handed]) -> bool:
        return job.handle.has_begun()

    def ended(self, job: Submitted[Handed]) -> Outcome | None:
        handed = job.handle
        if not handed.has_result():
            if not self._has_left(job):
                return None
            left = _left(job) if handed.adopted else None
            return left or job.ended("interrupted" if self.stopping else "failed", self._lost(handed))
        if handed.adopted:
            return _left(job) or job.ended("failed", f"it failed: {handed.errors}")
        found = handed.job.exception()
        if found is not None:  # outside the job: the node may have no trainer, say
            return job.ended("failed", f"{_reason(str(found))}: {handed.errors}")
        result: Outcome = handed.job.result()
        return result

    def _has_left(self, job: Submitted[Handed]) -> bool:
        """Whether a job without a result has ended, so long ago that its result will not come any more."""
        if self.local:
            return bool(job.handle.job.done(force_check=self.stopping))
        if not self.queue.has_left(job.handle.id, job.submitted):
            return False
        return time.monotonic() > self.ended_at.setdefault(job.handle.id, time.monotonic()) + LATE_SECONDS

    def _lost(self, handed: Handed) -> str:
        """What is said of a job that has ended without a result."""
        if self.local:
            return f"its process ended without a result ({handed.job.state}): {handed.errors}"
        state = self.queue.states([handed.id]).get(handed.id)
        how = f" ({state})" if state else ""
        return f"Slurm's job {handed.id} ended without a result{how}: {handed.errors}"

    def _end(self, job: Submitted[Handed], ended: Outcome) -> None:
        super()._end(job, ended)
        self.ended_at.pop(job.handle.id, None)
        if ended.status in ("completed", PRUNED):  # the sweep has noted it: of 10,000 jobs, 40,000 files less
            forget(job.handle)

    def cancel(self, jobs: Sequence[Submitted[Handed]]) -> None:
        if not self.local:
            self.cancelling = self.queue.cancel([job.handle.id for job in jobs])
            return
        for job in jobs:  # submitit would leave the job one second for its checkpoint
            with suppress(ProcessLookupError):
                os.kill(int(job.handle.id), signal.SIGTERM)

    def kill(self, jobs: Sequence[Submitted[Handed]]) -> None:
        if not self.local:
            self.queue.cancel([job.handle.id for job in jobs])  # again: Slurm kills it half a minute later itself
            return
        for job in jobs:
            job.handle.job.cancel(check=False)

    def wait(self) -> None:
        time.sleep(STOPPING if self.stopping and not self.local else self.poll_seconds)
        if not self.local:
            self.cancelling = self.queue.cancel(self.cancelling)
            self.queue.look(STOPPING if self.stopping else FRESH)
            if self.folder is not None:  # to touch a folder is what makes a network file system look again
                with suppress(OSError):
                    self.folder.chmod(self.folder.stat().st_mode)


def _left(job: Submitted[Handed]) -> Outcome | None:
    """How an adopted job has ended by its result.json, if it has one."""
    result = records.read_result(job.planned.directory)
    return job.planned.completed(result) if result else None


def _options(options: list[str]) -> dict[str, Any]:
    """The options `--key=value` and `--flag` of sbatch by their keys."""
    for option in options:
        if not option.startswith("--") or len(option) < 3:
            raise ConfigError(f"sweep.options: '{option}' is no option of sbatch", "one is --KEY=VALUE, or --KEY")
    pairs = (option.removeprefix("--").partition("=") for option in options)
    return {key: value if equals else True for key, equals, value in pairs}


def _said(message: str) -> str:
    """The line by sbatch in what submitit says."""
    lines = [line.strip() for line in message.splitlines() if line.strip("- ")]
    return next((line for line in lines if line.startswith("sbatch:")), lines[-1])


def _reason(trace: str) -> str:
    """The last line of a traceback between submitit's frames."""
    lines = [line.strip() for line in trace.splitlines()]
    frames = [i for i, line in enumerate(lines) if line.startswith("----")]
    body = lines[frames[0] + 1 : frames[-1]] if len(frames) > 1 else lines
    return next((line for line in reversed(body) if line), "it failed")
