"""What watches the loop, one job per file; `trainer.engine.loop.Hook` has the events."""
