"""The process that runs jobs of a sweep: a worker of this machine, or one that Slurm or Ray has started."""

import gc
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection

from trainer.run.sweep_log import Outcome
from trainer.sweeps.plan import Planned
from trainer.system.errors import InterruptedRunError
from trainer.system.forking import lies_in
from trainer.system.signals import answered, handled
from trainer.system.workers import end_with


@dataclass
class Place:
    """What a process takes over from the one that started the sweep, so that a job finds the same files and classes."""

    directory: str  # the current directory, which the run directories are named from
    path: list[str]  # where the user's own classes are imported from
    environment: dict[str, str]
    threads: int | None = None

    @staticmethod
    def here(threads: int | None = None) -> "Place":
        """The place of this process, with those variables of its environment that trainer itself reads."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("TRAINER_")}
        return Place(os.getcwd(), [p for p in sys.path if p], kept, threads)


def work(planned: Planned, place: Place) -> Outcome:
    """Run the job to its end. A job that is told to stop writes its checkpoint and is returned as interrupted."""
    os.chdir(place.directory)
    if not lies_in(place.directory):  # Ray has put it first, and a `timeit.py` there is none of Python's own
        sys.path[:] = [entry for entry in sys.path if entry and entry != place.directory]
    sys.path += [entry for entry in [*place.path, place.directory] if entry not in sys.path]
    os.environ.update(place.environment)
    if place.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(place.threads))
    try:
        # The handlers of Slurm's and Ray's clients would end the job without a checkpoint.
        with answered(signal.SIGTERM), handled(_warned, signal.SIGUSR2):
            from trainer.sweeps.attempt import attempt  # late: torch reads the number of threads when imported

            return attempt(planned)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        return planned.ended("interrupted", str(error))


def serve(orders: Connection, parent: int, place: Place) -> None:
    """Run each job that comes through `orders`, and send back its line of sweep.jsonl.

    Standard output goes nowhere, as each job has its train.log; tracebacks still reach the terminal. Ctrl-C does not
    reach the worker: `parent` stops it with SIGTERM.
    """
    end_with(parent)
    gc.freeze()  # what the server has imported stays, and its pages shared: only what a job makes may be garbage
    gc.enable()
    os.setpgid(0, 0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    os.environ.clear()  # the server that has forked this process may have older values
    os.environ.update(place.environment)
    if place.threads is not None:
        import torch

        torch.set_num_threads(place.threads)  # a forked worker had torch imported before OMP_NUM_THREADS was set
    while True:
        try:
            planned: Planned = orders.recv()
        except EOFError:
            os._exit(0)  # Python takes most of a second to leave torch, and there is nothing left to do
        orders.send(work(planned, place))


def _warned(signum: int) -> None:
    """Stop the job at SIGUSR2, too, which Slurm sends before the time is up."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a second one would end the job without its checkpoint
    signal.raise_signal(signal.SIGTERM)  # handled by the training if it has begun, else by `answered`
