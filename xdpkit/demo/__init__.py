"""``xdpkit demo``: shows the server at work, on real packets, with a readable result."""
