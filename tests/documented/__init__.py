"""Every command that README and docs show is run, in a fresh environment, from the built wheel.

    python -m tests.documented                  # all pages, some two minutes on two cores
    python -m tests.documented photos README    # some
    python -m tests.documented --list           # only what is not run, and why

What a page shows is run in its order, in a directory of its own that has what pages speak of (`prepared.py`: a folder
`photos`, `houses.csv`, runs called `RUN` and so on). Every fenced block in `bash` or `console` is a script of the
shell, which must end with exit code 0 and print what a console shows (but for its numbers; `…` is anything); the
`python` blocks of a page are one program; a block below a line that ends with `` `a/name.py` `` is that file. Comments
before a block, which readers do not see, say what is special about it:

    <!-- not run: it needs a camera -->     skipped, and listed with this reason
    <!-- with: RUN=table SWEEP=folds -->    what these names stand for, from this block of the page on
    <!-- with: RUN=newest -->               the run that was made last
    <!-- exit code: 2 -->                   the block ends with this exit code: it shows a mistake
    <!-- in full -->                        as it is typed, not shortened
    <!-- pictures -->                       with pictures and TensorBoard's file
    <!-- stays -->                          `trainer serve` runs on until the page ends

Lines that need a GPU, a network or a cluster are found by their words (`blocks.NEEDS`) and listed, too.

Trainings are shortened (`shim.py`): where no length is typed, `epochs=1` is appended, and of a recipe `epochs=5`; a
length that is typed is cut to three epochs and a search to three trials; pictures and TensorBoard's file are left out,
and `trainer serve` and `tensorboard`, which would run on, are asked once and stopped. Everything else is typed as the
page has it, by a real shell. The commands run in processes that are forked from one that has imported torch, as in the
other tests.
"""
