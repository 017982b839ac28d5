"""The fast path: the XDP program on its interface, and an AF_XDP socket and a worker for every chosen queue."""
