"""What the kernel says of an interface, and how it is told to change it: netlink, ioctls, sysfs."""
