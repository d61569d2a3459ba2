"""A checkpoint as a small HTTP service on this machine, with a page for the browser."""
