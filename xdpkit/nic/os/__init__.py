"""Reads and changes an interface through the kernel: netlink, ioctls, sysfs."""
