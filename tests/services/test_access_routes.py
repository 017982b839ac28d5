"""An access list with the routes that lead nowhere in it: at every address as each by itself."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._limits import ACCESS_ALLOWED, ACCESS_DENIED, ACCESS_NO_ROUTE
from xdpkit._core._prefix_map import PrefixMap
from xdpkit.services import access_list, prefix_map
from xdpkit.services.access_list import access, routes, rules

# Of 16 adjacent addresses at both ends of the space, so that prefixes nest and touch its edges.
PLACES = [*range(8), *range((1 << 32) - 8, 1 << 32)]


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network:
    place, length = draw(st.sampled_from(PLACES)), draw(st.sampled_from([0, 8, 29, 30, 31, 32]))
    return IPv4Network((place, length), strict=False)


NETWORKS = st.sets(networks(), max_size=5)


@given(NETWORKS, NETWORKS, st.dictionaries(networks(), st.booleans(), max_size=5))
def test_every_address(
    allow: set[IPv4Network], deny: set[IPv4Network], routed: dict[IPv4Network, bool]
) -> None:
    deny -= allow
    listed = PrefixMap(access_list.build(allow, deny))
    spans = [(int(net.network_address), net.prefixlen, int(dead)) for net, dead in routed.items()]
    dead = PrefixMap(prefix_map.build_spans(spans, []))
    both = access(rules(allow, deny), routes(spans, []))
    for place in PLACES:
        address = IPv4Address(place)
        expected = listed.value(address)
        if expected == ACCESS_ALLOWED and dead.value(address):
            expected = ACCESS_NO_ROUTE
        assert expected == (ACCESS_ALLOWED if both is None else both.value(address))
    assert ACCESS_DENIED == 0


def test_without_lists_and_routes_there_is_no_map() -> None:
    """Then the packet path looks nothing up."""
    assert access(None) is None
    assert access(rules((), ()), routes([], [])) is None
    assert access(None, routes([(0, 0, 0)], [])) is None
