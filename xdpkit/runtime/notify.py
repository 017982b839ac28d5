"""systemd's notification protocol, sd_notify(3): one datagram to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

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


def notify_reloading() -> None:
    """Tells it that a reload began; ``READY=1`` tells its end. The time is for notify-reload."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """How often ``WATCHDOG=1`` is to be told: half of what was asked for; None where it was not.

    sd_watchdog_enabled(3): WATCHDOG_USEC, and WATCHDOG_PID if only that process is meant.
    """
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID")
    if not text.isdecimal() or int(text) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(text) / 2e6
