"""One running server, from startup to shutdown."""
