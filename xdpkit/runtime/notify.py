"""systemd's notification protocol, sd_notify(3): datagrams to the socket in NOTIFY_SOCKET."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("xdpkit")


def notify(state: str) -> None:
    """Notifies the service manager, if there is one: ``READY=1``, ``STOPPING=1``."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A leading @ stands for the null byte of the abstract namespace.
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.sendto(state.encode(), name)
        except OSError as error:
            # A stale NOTIFY_SOCKET must not prevent the server from running.
            log.warning("NOTIFY_SOCKET %s: %s", address, error.strerror)


def notify_reloading() -> None:
    """A reload begins; ``READY=1`` ends it. Type=notify-reload requires the time."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """The period of ``WATCHDOG=1``: half of what the service manager requests, or None.

    sd_watchdog_enabled(3): WATCHDOG_USEC, and WATCHDOG_PID if it is for one process only.
    """
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID")
    if not text.isdecimal() or int(text) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(text) / 2e6
