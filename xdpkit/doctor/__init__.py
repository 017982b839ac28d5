"""``xdpkit doctor``: what stands in the way of serving an interface, and what fixes it."""
