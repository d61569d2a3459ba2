"""One program per file, each run as a process of its own: `python -m benchmarks.contenders.NAME`."""
