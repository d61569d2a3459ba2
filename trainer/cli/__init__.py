"""The command line: verbs, flags, completion and exit codes."""
