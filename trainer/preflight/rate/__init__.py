"""Looks at the learning rate."""
