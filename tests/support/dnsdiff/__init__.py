"""The same zones and questions for xdpkit, knotd and nsd, and the allowed differences."""
