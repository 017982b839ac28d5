"""Load and measurement: the AF_XDP generator's control-plane side."""
