"""The control socket ``@xdpkit/IFACE``: how one process asks another that serves."""
