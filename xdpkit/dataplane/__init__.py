"""The data plane: the XDP program, and an AF_XDP socket and a worker for each served queue."""
