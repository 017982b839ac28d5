"""Zones, compiled into the arena that the C library answers from."""
