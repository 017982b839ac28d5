"""The AF_XDP load generator: ``xdpkit blast``."""
