"""The control socket ``@xdpkit/IFACE``: how a process sends requests to a running instance."""
