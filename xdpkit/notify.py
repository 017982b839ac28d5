"""systemd's notification protocol, sd_notify(3): one datagram to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger("xdpkit")


def notify(state: str) -> None:
    """Tells the service manager, if one listens: ``READY=1``, ``STOPPING=1``."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A leading @ is the abstract namespace's zero byte.
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.sendto(state.encode(), name)
        except OSError as error:
            # A left-over NOTIFY_SOCKET must not keep us from serving.
            log.warning("NOTIFY_SOCKET %s: %s", address, error.strerror)
