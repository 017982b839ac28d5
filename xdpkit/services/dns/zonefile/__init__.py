"""Master files, read into zones."""
