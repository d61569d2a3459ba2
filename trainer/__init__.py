"""`trainer`: config-driven training of models of modest size."""

__version__ = "0.1.0"
