"""Pages on localhost: their guarded server, and what a browser shows."""
