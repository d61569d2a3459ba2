"""Looks at a training on several processes."""
