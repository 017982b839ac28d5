"""The zones of a running server: loaded, watched, published."""
