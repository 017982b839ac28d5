"""AF_XDP service for NTP and DNS on chosen NIC queues."""

__version__ = "0.1.0"
