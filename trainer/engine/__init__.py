"""Training and evaluation on a device: the loop and what it calls. Nothing here knows configs, files or screens."""
