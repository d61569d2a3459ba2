"""`python -m benchmarks`: trainer beside its peers, on the same work, in separate processes."""
