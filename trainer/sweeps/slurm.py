"""Jobs in the queue of a Slurm cluster, through submitit: sbatch hands them over, sacct says how they are."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.run import directory as runs
from trainer.run.sweep_log import Outcome
from trainer.sweeps.concurrent import Concurrent, RefusedError, Submitted, library
from trainer.sweeps.monitor import Monitor
from trainer.sweeps.plan import Planned
from trainer.sweeps.runner import Done
from trainer.sweeps.worker import Place, work
from trainer.system.errors import ConfigError, RunError
from trainer.system.forking import environment, lies_in
from trainer.system.machine import cores
from trainer.system.shown import printable
from trainer.system.signals import blocked

FOLDER = "slurm"  # in the sweep's directory
IN_QUEUE = 16
LATE_SECONDS = 15.0  # a file may arrive over a network so much later than Slurm says that its job has ended
COMMANDS = ("sbatch", "srun", "sacct", "scancel")


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


class Slurm(Concurrent[Any]):
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
        self.ended_at: dict[str, float] = {}  # of jobs whose results have not come yet

    def submit(self, planned: Planned) -> Any:
        if self.executor is None:
            self.executor = self._executor(planned.directory.parent)
        sweep = planned.directory.absolute().parent.parent.name
        self.executor.update_parameters(name=f"{printable(sweep)[:100]}-{planned.number}", **self._tasks(planned))
        try:
            # `cancel` alone stops the jobs: Ctrl-C as well would end one of this machine without a checkpoint.
            here = {"PYTHONSAFEPATH": "1"} if self.local and self.safe else {}
            with blocked(signal.SIGINT, signal.SIGHUP), environment(here):
                submitted = self.executor.submit(work, planned, Place.here(self.threads))
                return submitted.task(0)  # which has the first rank, and says what has come of the job
        except RuntimeError as error:
            raise RefusedError(
                f"Slurm does not take job {planned.number}: {_said(str(error))}", "see its keys: sweep.*"
            ) from error

    def _tasks(self, planned: Planned) -> dict[str, int]:
        """How many tasks the job has: one for each of its ranks, unless it starts them itself."""
        config = planned.asked.config
        if self.local or config is None or not isinstance(config.devices, int):
            return {}
        return {"nodes": 1, "tasks_per_node": config.devices}

    def _executor(self, sweep: Path) -> Any:
        if not self.local:
            _refuse_twice(sweep / FOLDER)
        # The folder is new each time: results are pickles, and one that lies there already may be a stranger's.
        folder = runs.claim(sweep / FOLDER)
        path = str(folder.absolute())
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

    def runs(self, job: Submitted[Any]) -> bool:
        return bool(job.handle.paths.stdout.exists())

    def ended(self, job: Submitted[Any]) -> Outcome | None:
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
        if found is not None:  # outside the job: the node may have no trainer, say
            return job.ended("failed", f"{_reason(str(found))}: {handle.paths.stderr}")
        result: Outcome = handle.result()
        return result

    def cancel(self, job: Submitted[Any]) -> None:
        if self.local:  # submitit would leave the job one second for its checkpoint
            with suppress(ProcessLookupError):
                os.kill(int(job.handle.job_id), signal.SIGTERM)
        else:
            job.handle.cancel(check=False)

    def kill(self, job: Submitted[Any]) -> None:
        job.handle.cancel(check=False)

    def wait(self) -> None:
        # While stopping, each look asks Slurm itself.
        time.sleep(2.0 if self.stopping and not self.local else self.poll_seconds)


def _options(options: list[str]) -> dict[str, Any]:
    """The options `--key=value` and `--flag` of sbatch by their keys."""
    for option in options:
        if not option.startswith("--") or len(option) < 3:
            raise ConfigError(f"sweep.options: '{option}' is no option of sbatch", "one is --KEY=VALUE, or --KEY")
    pairs = (option.removeprefix("--").partition("=") for option in options)
    return {key: value if equals else True for key, equals, value in pairs}


def _refuse_twice(folder: Path) -> None:
    """Refuse to run jobs that Slurm still has since the sweep was killed: two processes would train in one directory.

    Raises:
        RunError: some of those jobs wait or run.
    """
    jobs = {path.name.removesuffix("_submitted.pkl") for path in folder.glob("*/*_submitted.pkl")}
    # Slurm only tidies up after those that have a result.
    jobs -= {path.name.removesuffix("_0_result.pkl") for path in folder.glob("*/*_0_result.pkl")}
    if not jobs or shutil.which("squeue") is None:
        return
    asked = subprocess.run(["squeue", "--noheader", "--me", "--format=%i"], capture_output=True, text=True, check=False)
    queued = sorted(jobs & set(asked.stdout.split()))
    if queued:
        raise RunError(
            f"jobs of this sweep are still in Slurm's queue: {' '.join(queued)}",
            f"wait for them, or end them first: scancel {' '.join(queued)}",
        )


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
