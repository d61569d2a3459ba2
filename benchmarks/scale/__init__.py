"""What N ranks should take: a cost model, the constants that are measured here, and those that are assumed."""
