"""Every key, and how configs are composed and checked. Nothing here imports torch."""
