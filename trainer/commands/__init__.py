"""One file per verb, each with a `run(config)`; `trainer.verbs.VERBS` is the table of them."""
