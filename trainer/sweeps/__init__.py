"""The jobs of a multirun: planned together, run one by one or side by side, resumed, and ranked."""
