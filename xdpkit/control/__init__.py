"""The control socket ``@xdpkit/IFACE`` and the lock: one instance, and who may ask it what."""
