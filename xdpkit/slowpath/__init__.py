"""The slow path: the same answers through kernel sockets, over UDP and TCP."""
