"""`import torch` and nothing else: no program that trains with torch can be ready before."""

import time

import torch  # noqa: F401

DONE = time.monotonic()

from benchmarks.contenders.job import Watch  # noqa: E402

if __name__ == "__main__":
    Watch().write(first=DONE)
