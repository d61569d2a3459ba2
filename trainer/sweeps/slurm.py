"""Jobs in the queue of a Slurm cluster, by submitit: sbatch hands them over, sacct tells how they are."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trainer.run import directory as runs
from trainer.show.report import Report
from trainer.sweeps.concurrent import Concurrent, RefusedError, Submitted, library
from trainer.sweeps.job import Job
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, work
from trainer.system.errors import ConfigError, RunError
from trainer.system.machine import cores

FOLDER = "slurm"  # in the sweep's directory
IN_QUEUE = 16
LATE_SECONDS = 15.0  # so much later than Slurm's word a file may come over a network
COMMANDS = ("sbatch", "srun", "sacct", "scancel")


def check(settings: Any) -> None:
    """Look for what is needed, before anything is written.

    Raises:
        ConfigError: submitit is not installed, or this machine is none of a Slurm cluster.
    """
    library("submitit", "slurm")
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if settings.cluster == "slurm" and missing:
        raise ConfigError(
            f"sweep=slurm: there is no {missing[0]} on this machine",
            "start it on a login node of the cluster, or try it here: sweep.cluster=local",
        )
    _options(settings.options)


class Slurm(Concurrent[Any]):
    """Each job is one of Slurm's. `sweep.cluster=local` starts them on this machine, as submitit does without Slurm."""

    poll_seconds = 0.5
    stop_seconds = 60.0  # Slurm kills what has not ended 30 s (KillWait) after it was told to

    def __init__(self, settings: Any, screen: Report, done: Done) -> None:
        super().__init__(settings, screen, done)
        self.local = settings.cluster == "local"
        self.places = settings.jobs or (cores() if self.local else IN_QUEUE)
        self.threads = settings.cpus_per_task
        if self.local and self.threads is None:
            self.threads = max(1, cores() // self.places)
        self.executor: Any = None
        self.ended_at: dict[str, float] = {}  # of jobs whose results have not come yet

    def submit(self, planned: Planned) -> Any:
        if self.executor is None:
            self.executor = self._executor(planned.directory.parent)
        sweep = planned.directory.absolute().parent.parent.name
        self.executor.update_parameters(name=f"{sweep}-{planned.number}")
        try:
            with _undisturbed():
                return self.executor.submit(work, planned, Place.here(self.threads))
        except RuntimeError as error:
            raise RefusedError(
                f"Slurm does not take job {planned.number}: {_said(str(error))}", "see its keys: sweep.*"
            ) from error

    def _executor(self, sweep: Path) -> Any:
        if not self.local:
            _refuse_twice(sweep / FOLDER)
        # A new folder each time: results are pickles, and what lay there before may be a stranger's.
        folder = runs.claim(sweep / FOLDER)
        if "%" in str(folder.absolute()):
            raise ConfigError(f"{folder}: Slurm takes a % in a path for more than that", "choose another name=")
        executor = library("submitit", "slurm").AutoExecutor(folder=folder, cluster=self.settings.cluster)
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

    def runs(self, job: Submitted[Any]) -> bool:
        return bool(job.handle.paths.stdout.exists())

    def ended(self, job: Submitted[Any]) -> Job | None:
        handle = job.handle
        if not handle.done(force_check=self.stopping):
            return None
        if not handle.paths.result_pickle.exists():
            state = handle.state
            noticed = self.ended_at.setdefault(handle.job_id, time.monotonic())
            if not self.local and time.monotonic() < noticed + LATE_SECONDS:
                return None
            whose = "its process" if self.local else f"Slurm's job {handle.job_id}"
            reason = f"{whose} ended without a result ({state}): {handle.paths.stderr}"
            return job.ended("interrupted" if self.stopping else "failed", reason)
        found = handle.exception()
        if found is not None:  # not a job's failure, but that of its process: no trainer on that node, say
            return job.ended("failed", f"{_reason(str(found))}: {handle.paths.stderr}")
        result: Job = handle.result()
        return result

    def cancel(self, job: Submitted[Any]) -> None:
        if self.local:  # submitit's own way to cancel leaves a second for the checkpoint
            _signal(int(job.handle.job_id))
        else:
            job.handle.cancel(check=False)

    def kill(self, job: Submitted[Any]) -> None:
        job.handle.cancel(check=False)

    def wait(self) -> None:
        # While stopping, each look asks Slurm itself.
        time.sleep(2.0 if self.stopping and not self.local else self.poll_seconds)


def _options(options: list[str]) -> dict[str, Any]:
    """`--key=value` and `--flag` of sbatch by their keys."""
    for option in options:
        if not option.startswith("--") or len(option) < 3:
            raise ConfigError(f"sweep.options: '{option}' is no option of sbatch", "one is --KEY=VALUE, or --KEY")
    pairs = (option.removeprefix("--").partition("=") for option in options)
    return {key: value if equals else True for key, equals, value in pairs}


def _refuse_twice(folder: Path) -> None:
    """Where a sweep was killed, its jobs are still Slurm's: two processes would train in one directory.

    Raises:
        RunError: some of them wait or run.
    """
    before = {path.name.removesuffix("_submitted.pkl") for path in folder.glob("*/*_submitted.pkl")}
    before -= {path.name.removesuffix("_0_result.pkl") for path in folder.glob("*/*_0_result.pkl")}  # only tidied up
    if not before or shutil.which("squeue") is None:
        return
    asked = subprocess.run(["squeue", "--noheader", "--me", "--format=%i"], capture_output=True, text=True, check=False)
    queued = sorted(before & set(asked.stdout.split()))
    if queued:
        raise RunError(
            f"jobs of this sweep are still in Slurm's queue: {' '.join(queued)}",
            f"wait for them, or end them first: scancel {' '.join(queued)}",
        )


def _said(message: str) -> str:
    """sbatch's own line of what submitit says of it."""
    lines = [line.strip() for line in message.splitlines() if line.strip("- ")]
    return next((line for line in lines if line.startswith("sbatch:")), lines[-1])


def _reason(trace: str) -> str:
    """The last line of a traceback that submitit has framed."""
    lines = [line.strip() for line in trace.splitlines()]
    frames = [i for i, line in enumerate(lines) if line.startswith("----")]
    body = lines[frames[0] + 1 : frames[-1]] if len(frames) > 1 else lines
    return next((line for line in reversed(body) if line), "it failed")


def _signal(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within the block Ctrl-C and a closed terminal wait, and for processes that start here they wait for ever.

    They are told to stop by us, once: the second time they would end without a checkpoint.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
