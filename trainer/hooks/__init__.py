"""What watches the loop, one job per file; `trainer.loop.Hook` has the events."""
