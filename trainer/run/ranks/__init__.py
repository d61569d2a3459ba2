"""A command on several ranks: processes that are started here, or by torchrun or srun, and do one task together.

`spread` decides how many there are. `launcher` starts and watches them, `rank` is what each of them runs, and `ended`
is what they say at their end. A `Task` says what rank 0 does, which has the screen and the files, and what the others.
"""
