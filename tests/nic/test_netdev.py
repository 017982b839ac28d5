"""The netdev family: its messages, and this kernel's replies."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.nic.os import netdev, netlink


@given(st.lists(st.tuples(st.integers(0, netlink.NLA_TYPE_MASK), st.binary(max_size=40))))
def test_attributes_there_and_back(given_: list[tuple[int, bytes]]) -> None:
    data = b"".join(netlink.attribute(kind, value) for kind, value in given_)
    assert len(data) % 4 == 0
    assert list(netlink.attributes(data)) == given_


@given(st.binary(max_size=64))
def test_any_bytes_end(data: bytes) -> None:
    for _, value in netlink.attributes(data):
        assert len(value) <= len(data)


def test_golden_attribute() -> None:
    """CTRL_ATTR_FAMILY_NAME "netdev", as libmnl writes it."""
    wanted = struct.pack("=HH", 11, 2) + b"netdev\0\0"
    assert netlink.attribute(netlink.CTRL_ATTR_FAMILY_NAME, b"netdev\0") == wanted


def test_families() -> None:
    with netlink.open_socket(netlink.NETLINK_GENERIC) as opened:
        assert netlink.family_id(opened, "nlctrl") == netlink.GENL_ID_CTRL
        assert netlink.family_id(opened, "no-such-family") is None


def test_loopback_stamps_nothing() -> None:
    """Since 6.7 the kernel says no; before, it cannot say."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    index = socket.if_nametoindex("lo")
    assert netdev.offers_rx_timestamp(index) in ((False,) if version >= (6, 7) else (False, None))


def test_no_such_interface() -> None:
    unused = max(int(path.read_text()) for path in Path("/sys/class/net").glob("*/ifindex")) + 1000
    if netdev.offers_rx_timestamp(socket.if_nametoindex("lo")) is None:
        pytest.skip("this kernel has no netdev family")
    with pytest.raises(OSError, match="No such device"):
        netdev.offers_rx_timestamp(unused)


def reply(*given_: tuple[int, bytes]) -> bytes:
    body = b"".join(netlink.attribute(kind, value) for kind, value in given_)
    return struct.pack("=IHHIIBBxx", 20 + len(body), 30, 0, 0, 0, 1, 1) + body


class FakeNetlink:
    """Replies in turn; records the requests in hexadecimal."""

    def __init__(self, *replies: bytes) -> None:
        self.replies, self.requests = list(replies), list[str]()

    def __call__(self, *_: int) -> FakeNetlink:
        return self

    def __enter__(self) -> FakeNetlink:
        return self

    def __exit__(self, *_: object) -> None: ...

    def settimeout(self, _: float) -> None: ...

    def setsockopt(self, *_: int) -> None: ...

    def send(self, data: bytes) -> None:
        self.requests.append(data.hex())

    def recv(self, _: int) -> bytes:
        return self.replies.pop(0)


def test_golden_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """CTRL_CMD_GETFAMILY and NETDEV_CMD_DEV_GET, little endian, and mlx5's reply."""
    if sys.byteorder == "big":
        pytest.skip("the golden bytes are little endian")
    fake = FakeNetlink(
        reply((1, struct.pack("=H", 30))),
        reply(
            (1, struct.pack("=I", 7)),
            (3, struct.pack("=Q", 0b1111)),
            (4, struct.pack("=I", 1)),
            (5, struct.pack("=Q", 1 | 4 | 1 << 40)),
            (6, struct.pack("=Q", 2)),
        ),
    )
    monkeypatch.setattr(netlink.socket, "socket", fake)
    assert netdev.features(7) == netdev.Features(
        acts=("basic", "redirect", "ndo-xmit", "xsk-zerocopy"),
        zc_max_segs=1,
        rx_metadata=("timestamp", "vlan-tag"),
        xsk=("tx-checksum",),
    )
    assert fake.requests == [
        "20000000100001000000000000000000030100000b0002006e65746465760000",
        "1c0000001e0001000000000000000000010100000800010007000000",
    ]


def test_a_kernel_that_says_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.3 reports no metadata; before, there is no family (NLMSG_ERROR with -ENOENT)."""
    family = reply((1, struct.pack("=H", 30)))
    old = reply((1, struct.pack("=I", 7)), (3, struct.pack("=Q", 3)))
    monkeypatch.setattr(netlink.socket, "socket", FakeNetlink(family, old))
    assert netdev.features(7) == netdev.Features(("basic", "redirect"))
    error = struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -2) + bytes(16)
    monkeypatch.setattr(netlink.socket, "socket", FakeNetlink(error))
    assert netdev.features(7) is None
