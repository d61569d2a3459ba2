"""Images as people have them on disk: in one folder per class, or listed in a table.

`layout` and `listing` find what lies in a folder, `table` what a table says; `assembling` makes a data set of it.
"""
