"""What a checkpoint says of samples that nobody has prepared: files of images, rows of a table, arrays."""
