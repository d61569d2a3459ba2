"""Runs side by side: listed, compared, and run again."""
