"""One running server, from its start to its end."""
