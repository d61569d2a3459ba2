"""Looks at the model: whether it can learn what it is given."""
