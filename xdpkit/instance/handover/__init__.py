"""A successor takes over from a running instance: ``xdpkit run --takeover``."""
