"""The control plane of NTP: time sources, server state, keys, and access."""
