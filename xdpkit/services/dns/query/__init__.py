"""``xdpkit query``: what would be answered, offline, and why."""
