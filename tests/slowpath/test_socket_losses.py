"""What the kernel dropped at a listener's sockets, counted for each over all of its life."""

from __future__ import annotations

import socket

import pytest

from xdpkit.nic.os.socket_memory import socket_memory
from xdpkit.slowpath import losses as module
from xdpkit.slowpath.losses import SocketLosses

KEY, OTHER = ("127.0.0.1", "dns", 53), ("127.0.0.1", "ntp", 123)


def overflow(receiver: socket.socket, count: int) -> int:
    """Sends so many datagrams that nobody reads meanwhile; returns how many did not arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x", receiver.getsockname())
    receiver.setblocking(False)
    arrived = 0
    try:
        while receiver.recv(16):
            arrived += 1
    except BlockingIOError:
        return count - arrived


def receiving() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.1", 0))
    return sock


def test_each_socket_counts_what_it_lost() -> None:
    losses = SocketLosses()
    with receiving() as first, receiving() as second:
        earlier = overflow(second, 100)
        sockets = {KEY: first, OTHER: second}
        for key, sock in sockets.items():
            losses.begin(key, sock)
        lost = overflow(first, 200)
        assert lost > 0 and earlier > 0
        # What a predecessor's socket lost is not ours.
        assert losses.update(sockets) == {KEY: lost, OTHER: 0}
        more = overflow(first, 50)
        losses.end(KEY, first)
        assert losses.closed == lost + more
        assert losses.update({OTHER: second}) == {OTHER: 0}
        assert socket_memory(first).waiting == 0


def test_a_counter_of_32_bits_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([2**32 - 3, 5, 5, 4])
    monkeypatch.setattr(module, "_drops", lambda _: next(counts))
    losses, sock = SocketLosses(), socket.socket()
    with sock:
        losses.begin(KEY, sock)
        assert losses.update({KEY: sock}) == {KEY: 8}
        assert losses.update({KEY: sock}) == {KEY: 8}
        assert losses.update({KEY: sock}) == {KEY: 8 + 2**32 - 1}
