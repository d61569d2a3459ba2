"""Which trials a search runs, and what comes of them."""
