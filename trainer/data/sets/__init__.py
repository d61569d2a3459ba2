"""One data set per file, each with a `load(config, track) -> Dataset`."""
