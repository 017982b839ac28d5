"""``xdpkit doctor``: what prevents or slows serving on an interface, and how to fix it."""
