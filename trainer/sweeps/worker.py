"""A process that runs jobs of a sweep, one after the other, as it is told."""

import os
import signal
import sys
from multiprocessing.connection import Connection

from trainer.sweeps.plan import Planned
from trainer.system.errors import InterruptedRunError, TerminatedError
from trainer.system.workers import end_with


def work(orders: Connection, parent: int) -> None:
    """Run each job that comes through `orders`, and send back its line of sweep.jsonl.

    What a job says is in its train.log: the terminal is the parent's. Ctrl-C is, too; SIGTERM stops the job.
    """
    end_with(parent)
    os.setpgid(0, 0)
    _be_silent()
    from trainer.sweeps.attempt import attempt  # late: the parent shows that the sweep has begun

    signal.signal(signal.SIGTERM, _terminated)
    while True:
        try:
            planned: Planned = orders.recv()
        except EOFError:
            os._exit(0)  # with torch, Python takes most of a second to leave, and nothing is left to do
        try:
            job = attempt(planned)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            orders.send(planned.ended("interrupted", str(error)))
            return
        orders.send(job)


def _terminated(signum: int, frame: object) -> None:
    raise TerminatedError(signum)


def _be_silent() -> None:
    """Standard output goes nowhere; a traceback of ours still reaches the terminal through standard error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
