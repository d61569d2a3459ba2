"""Tables of numbers and words: read as people have them, by a plan that a model keeps for later tables.

`reading` makes columns of a file, `cells` understands what is written in them, `planning` measures a plan on the
training rows, `columns` encodes by it, and `loading` puts these together.
"""

import os

# polars' allocator keeps what is freed for ten seconds, in which a large table has its most; this gives it back at
# once (50 MB of 900, and 200 of what stays). It reads this when polars is first imported; another one passes over it.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
