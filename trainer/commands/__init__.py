"""One file per verb, each with a `run(config)`; `trainer.cli.verbs.VERBS` is the table of them."""
