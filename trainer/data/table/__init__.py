"""Tables of numbers and words: read as people have them, by a plan that a model keeps for later tables.

`reading` makes columns of a file, `cells` understands what is written in them, `planning` measures a plan on the
training rows, `columns` encodes by it, and `loading` puts these together.
"""
