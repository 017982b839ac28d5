"""The control-plane side of NTP: the server's own state."""
