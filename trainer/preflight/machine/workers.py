"""Whether there are cores and shared memory for the processes that read batches."""

from collections.abc import Iterator

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.machine import cores
from trainer.system.memory import free_shared_memory
from trainer.system.shown import counted

ABOUT = "the processes that read batches"
AHEAD = 2  # batches that torch lets each process read ahead


def look(subject: Subject) -> Iterator[Finding]:
    """Compare what they need with what there is."""
    workers = subject.first.evaluator.placing.workers
    if not workers:
        return
    train = subject.data.train
    batch = max(subject.first.train.batch_size, subject.first.evaluator.batch_size)
    needed = workers * (AHEAD + 1) * batch * train.shape.numel() * train.dtype.itemsize
    free, there = free_shared_memory(), cores()
    told = f"{counted(workers, 'process', 'processes')} on {counted(there, 'core')}"
    room = f"they need {needed / 2**20:,.1f} MiB of shared memory, {free / 2**20:,.1f} MiB are free"
    if workers > there:
        yield Finding("workers", f"{told}: they wait for each other", f"data.workers={max(1, there - 1)}", wrong=True)
    if needed > free:
        advice = "data.workers=1, a smaller data.eval_batch_size, or more of it: docker run --shm-size=1g"
        yield Finding("shared memory", f"{room}: batches go through pipes, which is slower", advice, wrong=True)
    else:
        yield Finding("shared memory", room)
    if workers <= there:
        yield Finding("workers", told)
