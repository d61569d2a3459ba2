"""The machine below everything: errors, files, paths, streams, processes, memory."""
