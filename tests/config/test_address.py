"""Generated addresses, as written in the configuration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xdpkit.config.address import parse_address, parse_socket_address


@given(st.text(st.sampled_from("0123456789abcdef:.@/% x\u02bc\u0663")) | st.text())
def test_parse_address_returns_an_address_or_says_why(text: str) -> None:
    try:
        served = parse_address(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parse_address(str(served)) == served


@given(
    st.ip_addresses().filter(
        lambda a: (
            not (a.is_multicast or a.is_unspecified or a.is_loopback)
            and getattr(a, "ipv4_mapped", None) is None
            and str(a) != "255.255.255.255"
        )
    ),
    st.lists(st.integers(1, 4094), max_size=2),
)
def test_every_unicast_address_and_tag_can_be_served(address: object, tags: list[int]) -> None:
    text = f"{address}@{'.'.join(map(str, tags))}" if tags else str(address)
    served = parse_address(text)
    assert (served.address, served.outer, served.inner) == (address, *[*tags, 0, 0][:2])


@given(st.text(st.sampled_from("0123456789abcdef:.[]% x\u02bc\u0663")) | st.text())
def test_parse_socket_address_returns_one_or_says_why(text: str) -> None:
    try:
        found = parse_socket_address(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parse_socket_address(str(found)) == found


@given(
    st.ip_addresses().filter(
        lambda a: (
            not a.is_multicast
            and getattr(a, "ipv4_mapped", None) is None
            and str(a) != "255.255.255.255"
        )
    ),
    st.integers(1, 65535),
)
def test_every_address_and_port_can_be_written(address: object, port: int) -> None:
    text = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    found = parse_socket_address(text)
    assert (found.address, found.port, str(found)) == (address, port, text)
