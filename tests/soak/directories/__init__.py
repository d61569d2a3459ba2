"""Directories of strangers: honest runs, sweeps and searches that are made hostile, and commands that read them.

`bases` makes the honest ones with the real program; `cases` are hostile ones, each with a name; `mutations` and `kinds`
make thousands more of every kind of file. `arena` runs a command on each, in a process that `warm` forks and watches.

`python -m tests.soak.directories KIND --only NAME` shows what one of them does.
"""
