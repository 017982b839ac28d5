"""The same zones and questions put to xdpkit, knotd and nsd, and what may differ between them."""
