"""The network interface: its state, and the ethtool ioctls that netlink has no messages for."""
