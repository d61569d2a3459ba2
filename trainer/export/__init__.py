"""A trained model in one file that needs no trainer, and the proof that it answers alike."""
