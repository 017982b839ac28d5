"""The netdev family: its messages, and what this kernel answers."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.nic import netdev


@given(st.lists(st.tuples(st.integers(0, netdev.NLA_TYPE_MASK), st.binary(max_size=40))))
def test_attributes_there_and_back(given_: list[tuple[int, bytes]]) -> None:
    data = b"".join(netdev.attribute(kind, value) for kind, value in given_)
    assert len(data) % 4 == 0
    assert list(netdev.attributes(data)) == given_


@given(st.binary(max_size=64))
def test_any_bytes_end(data: bytes) -> None:
    for _, value in netdev.attributes(data):
        assert len(value) <= len(data)


def test_golden_attribute() -> None:
    """CTRL_ATTR_FAMILY_NAME "netdev", as libmnl writes it."""
    wanted = struct.pack("=HH", 11, 2) + b"netdev\0\0"
    assert netdev.attribute(netdev.CTRL_ATTR_FAMILY_NAME, b"netdev\0") == wanted


def test_families() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netdev.NETLINK_GENERIC) as netlink:
        netlink.bind((0, 0))
        assert netdev.family_id(netlink, "nlctrl") == netdev.GENL_ID_CTRL
        assert netdev.family_id(netlink, "no-such-family") is None


def test_loopback_stamps_nothing() -> None:
    """Since 6.7 the kernel says no; before it cannot say."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    index = socket.if_nametoindex("lo")
    assert netdev.offers_rx_timestamp(index) in ((False,) if version >= (6, 7) else (False, None))


def test_no_such_interface() -> None:
    unused = max(int(path.read_text()) for path in Path("/sys/class/net").glob("*/ifindex")) + 1000
    if netdev.offers_rx_timestamp(socket.if_nametoindex("lo")) is None:
        pytest.skip("this kernel has no netdev family")
    with pytest.raises(OSError, match="No such device"):
        netdev.offers_rx_timestamp(unused)
