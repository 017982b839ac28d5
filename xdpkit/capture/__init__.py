"""``xdpkit dump``: packets of the fast and the slow path, as files that Wireshark reads."""
