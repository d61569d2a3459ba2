"""What `trainer check` looks at before a long training: a module per look, in the folder of its area."""
