"""The keys of each way to run the jobs of `-m`."""

from dataclasses import dataclass

from trainer.config.keys import MISSING, key


@dataclass
class Sweeping:
    """Keys that every way to run a sweep has."""

    name: str = key(MISSING, "registry name")
    dry_run: bool = key(False, "only list the jobs, and what would be done with each", runtime=True)
    plots: bool = key(
        False, "also draw each job's own pictures, which takes longer than training a small model", runtime=True
    )
    tables: bool = key(False, "also leave the tables of each job's test", runtime=True)


@dataclass
class Serial(Sweeping):
    """One job after the other, in this process."""

    name: str = key("serial", "registry name")


@dataclass
class Parallel(Sweeping):
    """Several jobs at once, each in a process with its share of the CPU cores, or with a GPU of its own."""

    name: str = key("parallel", "registry name")
    jobs: int | None = key(
        None, "jobs at once; null: one per GPU, or one per CPU core", minimum=1, maximum=256, runtime=True
    )


@dataclass
class Batched(Sweeping):
    """Jobs that differ in numbers alone as one program on one device: their models are stacked."""

    name: str = key("batched", "registry name")
    jobs: int = key(64, "jobs at once; the others wait", minimum=1, runtime=True)


@dataclass
class Auto(Sweeping):
    """Batched where that pays (on a CPU: linear models and small perceptrons), the rest in parallel."""

    name: str = key("auto", "registry name")
    jobs: int | None = key(None, "jobs at once; null: the defaults of the two ways", minimum=1, runtime=True)


@dataclass
class Slurm(Sweeping):
    """Jobs in the queue of a Slurm cluster, by submitit (the extra `slurm`)."""

    name: str = key("slurm", "registry name")
    cluster: str = key(
        "slurm", "slurm; or local: processes on this machine, to try it out", choices=("slurm", "local"), runtime=True
    )
    jobs: int | None = key(
        None, "jobs in the queue at once, waiting or running; null: 16, locally one per CPU core",
        minimum=1, runtime=True,
    )  # fmt: skip
    partition: str | None = key(None, "sbatch --partition; null: the cluster's default", runtime=True, outward=True)
    account: str | None = key(None, "sbatch --account; null: your default", runtime=True, outward=True)
    timeout_min: int = key(
        60, "minutes for each job, after which Slurm stops it with a checkpoint", minimum=1, runtime=True
    )
    cpus_per_task: int | None = key(
        None, "CPU cores for each job; null: the cluster's default", minimum=1, runtime=True
    )
    gpus_per_node: int | None = key(
        None, "GPUs for each job; null: none, or the cluster's default", minimum=0, runtime=True
    )
    mem_gb: float | None = key(None, "memory for each job, GB; null: the cluster's default", above=0, runtime=True)
    setup: list[str] = key(
        [], "lines of shell before each job, like `module load cuda`; not locally", runtime=True, outward=True
    )
    options: list[str] = key(
        [], 'further options of sbatch, like `["--qos=high"]`; not locally', runtime=True, outward=True
    )


@dataclass
class Ray(Sweeping):
    """Jobs as tasks of a Ray cluster, or of a Ray on this machine (the extra `ray`)."""

    name: str = key("ray", "registry name")
    address: str | None = key(
        None, "auto: the cluster of this machine; HOST:PORT or ray://HOST:PORT; null: a Ray just for this sweep",
        runtime=True, outward=True,
    )  # fmt: skip
    jobs: int | None = key(
        None,
        "jobs at once; null: as many as the cluster has CPUs and GPUs for when the sweep begins",
        minimum=1,
        runtime=True,
    )
    cpus: float = key(1.0, "CPU cores for each job; as many threads", above=0, runtime=True)
    gpus: float | None = key(
        None, "GPUs for each job, 0.5: two share one; null: one where there are any", minimum=0, runtime=True
    )


SHARED = Sweeping
