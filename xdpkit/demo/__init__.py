"""``xdpkit demo``: the main job, on real packets, with a result a person can read."""
