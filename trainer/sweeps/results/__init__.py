"""What came of a sweep: ranked, as a table, and drawn."""
