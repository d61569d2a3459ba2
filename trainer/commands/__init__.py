"""One file per verb, each with a `run(config)`; `trainer.cli.VERBS` is the table of them."""
