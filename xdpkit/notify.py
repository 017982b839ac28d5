"""systemd's notification protocol, sd_notify(3): one datagram to the socket that it names."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Tells the service manager, if one listens: ``READY=1``, ``STOPPING=1``."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        # A leading @ is the abstract namespace's zero byte.
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())
