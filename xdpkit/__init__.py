"""NTP and DNS over AF_XDP, on selected NIC queues."""

__version__ = "0.1.0"
