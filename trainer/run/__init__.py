"""One training in its run directory: what it is made of, and every file that it leaves."""
