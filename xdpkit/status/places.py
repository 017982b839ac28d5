"""The places where a packet can be lost before a thread of ours has it, or after it was answered.

Each has its name in ``status --json`` and the metrics, what is counted there and by whom, and which
setting mends it.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """``text`` says what a loss there is, ``mend`` what to change; {at} is where."""

    text: str
    mend: str


PLACES = {
    "nic_ring": Place(
        "the NIC had no free descriptor, or no buffer",
        "longer RX rings (ethtool -G {at} rx N), or more queues in [interface] queues",
    ),
    "fill_ring": Place(
        "no free frame on the fill ring: the queue's worker did not keep up",
        'more [interface] queues, a CPU of its own for each worker, or poll = "busy"',
    ),
    "rx_ring": Place(
        "no room on the RX ring: the queue's worker did not keep up",
        'more [interface] queues, a CPU of its own for each worker, or poll = "busy"',
    ),
    "xsk": Place(
        "the kernel could not give the frame to the AF_XDP socket",
        "look for memory that is short, and for frames larger than 1,792 bytes (MTU)",
    ),
    "tx_ring": Place(
        "the interface did not send a reply that was on the TX ring",
        "look at its carrier (ip link show) and at longer TX rings (ethtool -G IFACE tx N)",
    ),
    "udp_socket": Place(
        "no room in the receive buffer of a slow path socket, or a wrong checksum",
        "have these requests reach the chosen queues: [interface] queues, or steering; with few, "
        "net.core.rmem_max where CAP_NET_ADMIN is missing",
    ),
    "tcp_listen": Place(
        "a SYN was dropped: the queue of connections to be accepted is full",
        "net.core.somaxconn, and a higher [dns] tcp_connections",
    ),
    "tcp_source": Place(
        "a connection was refused: its source has an eighth of all connections already",
        "a higher [dns] tcp_connections",
    ),
}
