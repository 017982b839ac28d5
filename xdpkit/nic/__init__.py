"""The interface side: what is there, and the ethtool calls that netlink has no messages for."""
