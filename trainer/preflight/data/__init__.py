"""Looks at the data: what the samples are, and whether a model of them can mean anything."""
