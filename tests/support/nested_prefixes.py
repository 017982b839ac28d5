"""Prefixes for property tests: few distinct addresses, so that they nest."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from xdpkit.config.prefixes import Prefix

# Both ends of the space are among them.
STEMS = {
    4: ["0.0.0.0", "192.0.2.0", "192.0.2.255", "203.0.113.7", "255.255.255.255"],
    6: ["::", "2001:db8::", "2001:db8::ffff:0:0:1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
}


@st.composite
def prefixes(draw: st.DrawFn, version: int) -> Prefix:
    """A prefix that has one bit other than a stem."""
    stem = ip_address(draw(st.sampled_from(STEMS[version])))
    bits = stem.max_prefixlen
    flipped = int(stem) ^ 1 << draw(st.integers(0, bits - 1))
    return ip_network((type(stem)(flipped), draw(st.integers(0, bits))), strict=False)
