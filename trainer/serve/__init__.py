"""A small HTTP service and a page in the browser, on this machine."""
