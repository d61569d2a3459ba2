"""Looks at this machine: whether the training fits, and how long it takes."""
