"""The recording: two checkouts run the same commands, and what each leaves behind is compared to the bit.

`python -m tests.recording OLD NEW` proves that a rebuilding lost nothing. It uses commands and files alone, and never
imports `trainer`, so that it outlives any rebuilding of it.
"""
