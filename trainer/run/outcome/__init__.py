"""What an evaluation leaves behind: tables, pictures and figures of what a model says of each sample."""
