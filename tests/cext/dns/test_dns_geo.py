"""GeoDNS zones on bytes: who asks decides, and chance; scopes of client subnets; aliases."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_bytes_call import HEAD
from dns_zones import arenas
from geo_call import GeoCall
from geo_locations import place_table

from xdpkit.services.dns.geo.location_db import COUNTRY
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.targets import Location

US, DE, NOBODY = "9.1.2.3", "5.9.0.1", "8.8.8.8"
US6, DE6 = "2001:200::1", "2001:300::1"

LOCATIONS = Locations(
    {
        COUNTRY: place_table(
            {
                ip_network("9.0.0.0/8"): (Location("us"), None),
                ip_network("9.128.0.0/9"): (Location("ca"), None),
                ip_network("5.0.0.0/8"): (Location("de"), None),
                ip_network("10.0.0.0/8"): (Location("de"), None),
                ip_network("2001:200::/32"): (Location("us"), None),
                ip_network("2001:300::/32"): (Location("de"), None),
            }
        )
    }
)


def servers(number: int, weights: list[int]) -> list[list[Any]]:
    return [[f"192.0.{number}.{n + 1}", weight] for n, weight in enumerate(weights)]


ZONE = {
    "serial": 7,
    "ttl": 150,
    "max_hosts": 2,
    "data": {
        "": {"ns": ["ns1.geo.test."], "a": servers(0, [1, 1, 1])},
        "us": {"a": servers(1, [10, 20, 30])},
        "europe": {"a": servers(2, [1]), "aaaa": [["2001:db8::2"]]},
        "www": {"a": servers(3, [5])},
        "www.us": {"cname": [["us.geo.test.", 1], ["far.plain.test.", 3]]},
        "vendor": {"alias": ""},
        "*.wild": {"a": servers(4, [1, 1, 1])},
        "*.wild.de": {"a": servers(5, [1])},
        "many": {"a": servers(6, [7] * 200), "max_hosts": 200},
        "ill": {"a": [{"ip": "192.0.7.1", "health": "f/a"}, {"ip": "192.0.7.2", "health": "f/b"}]},
        "plain": {"txt": "hello", "mx": [{"mx": "mx.test.", "preference": 5}]},
        "only.us": {"a": servers(8, [1])},
        "go": {"cname": "to.plain.test."},
    },
}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> GeoCall:
    directory = tmp_path_factory.mktemp("geo")
    (directory / "plain.test.zone").write_text(
        HEAD + "ns1 A 192.0.2.1\nfar A 192.0.9.1\nto CNAME us.geo.test.\n"
    )
    return GeoCall(directory, {"geo.test": ZONE}, LOCATIONS, arenas(directory))


def ecs(prefix: str) -> dns.edns.ECSOption:
    address, _, length = prefix.partition("/")
    return dns.edns.ECSOption(address, int(length))


def scope(reply: dns.message.Message) -> tuple[str, int, int] | None:
    found = [option for option in reply.options if isinstance(option, dns.edns.ECSOption)]
    return (found[0].address, found[0].srclen, found[0].scopelen) if found else None


@pytest.mark.parametrize(
    "source, third", [(US, 1), (DE, 2), (NOBODY, 0), (US6, 1), (DE6, 2), ("9.200.0.1", 0)]
)
def test_where_a_client_is(call: GeoCall, source: str, third: int) -> None:
    for name in ("geo.test", "vendor.geo.test"):
        found = call.addresses(name, source)
        assert len(found) == min(2, 1 if third == 2 else 3) == len(set(found))
        assert {address.split(".")[2] for address in found} == {str(third)}


def test_the_answer_is_authoritative_and_has_the_questions_case(call: GeoCall) -> None:
    reply = call.ask("GEO.test", source=US)
    assert reply.flags & dns.flags.AA and str(reply.answer[0].name) == "GEO.test."
    assert reply.answer[0].ttl == 150 and not reply.authority and not reply.additional


def test_draws_follow_the_weights(call: GeoCall) -> None:
    first = Counter(call.addresses("us.geo.test", NOBODY)[0] for _ in range(6000))
    for number, weight in enumerate((10, 20, 30)):
        share = first[f"192.0.1.{number + 1}"] / 6000
        # Six standard deviations.
        assert abs(share - weight / 60) < 6 * (0.25 / 6000) ** 0.5


def test_the_same_seed_has_the_same_bytes_over_tcp_and_udp(call: GeoCall) -> None:
    request = dns.message.make_query("geo.test", "A", use_edns=0).to_wire()
    found = []
    for tcp in (False, True):
        call.state.seed_draws(5)
        found.append([call.send(request, US, tcp) for _ in range(50)])
    assert found[0] == found[1] and len(set(found[0])) > 1


@pytest.mark.parametrize(
    "sent, third, want",
    [
        # The widest prefixes that have no other target.
        ("9.1.2.0/24", 1, 9),
        ("9.129.0.0/16", 0, 9),
        ("5.9.1.0/24", 2, 8),
        ("2001:200::/32", 1, 32),
        ("2001:300:1::/48", 2, 32),
        # Nothing is known of it: who sends is at NOBODY's.
        ("8.8.4.0/24", 0, 8),
        # Not of the Internet, or not to be used.
        ("10.1.2.0/24", 0, 0),
        ("0.0.0.0/0", 0, 0),
    ],
)
def test_a_subnet_decides_and_its_scope_is_what_did(
    call: GeoCall, sent: str, third: int, want: int
) -> None:
    reply = call.ask("geo.test", source=NOBODY, ecs=ecs(sent))
    assert {each.address.split(".")[2] for each in reply.answer[0]} == {str(third)}
    address, _, length = sent.partition("/")
    assert scope(reply) == (address, int(length), want)


def test_an_unknown_subnet_leaves_the_sender(call: GeoCall) -> None:
    reply = call.ask("geo.test", source=DE, ecs=ecs("8.8.4.0/24"))
    assert {each.address for each in reply.answer[0]} == {"192.0.2.1"}


def test_where_nobody_differs_the_scope_is_zero(call: GeoCall) -> None:
    for name, rdtype in (("plain.geo.test", "TXT"), ("us.geo.test", "A"), ("far.plain.test", "A")):
        reply = call.ask(name, rdtype, ecs=ecs("9.1.2.0/24"))
        assert scope(reply) == ("9.1.2.0", 24, 0), name


def test_subnets_are_not_echoed_where_they_are_off(call: GeoCall) -> None:
    try:
        call.publish(ecs=0)
        reply = call.ask("geo.test", source=US, ecs=ecs("5.9.1.0/24"))
        assert scope(reply) is None
        assert reply.answer[0][0].address.startswith("192.0.1.")
    finally:
        call.publish()


def test_every_address_in_a_scope_has_the_same_answer(call: GeoCall) -> None:
    for text in ("9.1.2.3", "9.129.0.1", "5.9.1.1", "8.8.4.4", "11.0.0.1"):
        reply = call.ask("www.geo.test", ecs=ecs(f"{text}/32"))
        found = scope(reply)
        assert found is not None
        network = ip_network((text, found[2]), strict=False)
        kinds = set()
        for address in (network[0], network[-1], network[network.num_addresses // 2]):
            if not address.is_global:
                continue
            again = call.ask("www.geo.test", ecs=ecs(f"{address}/32"))
            kinds.add(again.answer[0].rdtype)
        assert len(kinds) == 1
        wider = ip_network((text, found[2] - 1), strict=False)
        assert ip_address(text) in wider


def test_a_drawn_alias_is_followed_through_all_zones(call: GeoCall) -> None:
    ends = Counter()
    for _ in range(400):
        reply = call.ask("www.geo.test", source=US)
        assert reply.answer[0].rdtype == 5 and len(reply.answer) == 2
        ends[str(reply.answer[0][0].target)] += 1
    assert 60 < ends["us.geo.test."] < 140 and ends["far.plain.test."] == 400 - ends["us.geo.test."]
    assert call.addresses("www.geo.test", DE) == ["192.0.3.1"]
    reply = call.ask("www.geo.test", "CNAME", source=US)
    assert [rrset.rdtype for rrset in reply.answer] == [5]


def test_an_alias_from_another_zone_ends_in_a_draw(call: GeoCall) -> None:
    reply = call.ask("to.plain.test", source=NOBODY)
    assert [rrset.rdtype for rrset in reply.answer] == [5, 1]
    assert str(reply.answer[1].name) == "us.geo.test." and len(reply.answer[1]) == 2
    longer = call.ask("go.geo.test", source=NOBODY)
    assert [rrset.rdtype for rrset in longer.answer] == [5, 5, 1]


def test_wildcards(call: GeoCall) -> None:
    assert len(call.addresses("x.y.wild.geo.test", US)) == 2
    assert call.addresses("x.wild.geo.test", DE) == ["192.0.5.1"]


def test_nothing_here_and_no_such_name(call: GeoCall) -> None:
    nodata = call.ask("only.geo.test", source=DE)
    assert nodata.rcode() == dns.rcode.NOERROR and not nodata.answer and nodata.authority
    assert call.addresses("only.geo.test", US) == ["192.0.8.1"]
    assert call.ask("geo.test", "TXT").authority[0].rdtype == 6
    assert call.ask("none.geo.test").rcode() == dns.rcode.NXDOMAIN


def test_more_than_fits_is_truncated_and_whole_over_tcp(call: GeoCall) -> None:
    reply = call.ask("many.geo.test")
    assert reply.flags & dns.flags.TC and not reply.answer
    whole = call.ask("many.geo.test", tcp=True)
    assert len(whole.answer[0]) == 200 and not whole.flags & dns.flags.TC


def test_who_is_unhealthy_is_in_no_answer(call: GeoCall) -> None:
    try:
        call.publish(frozenset({"f/a"}))
        assert {*call.addresses("ill.geo.test", US)} == {"192.0.7.2"}
        call.publish(frozenset({"f/a", "f/b"}))
        assert {*call.addresses("ill.geo.test", US)} == {"192.0.7.1", "192.0.7.2"}
    finally:
        call.publish()
    assert len(call.addresses("ill.geo.test", US)) == 2


def test_the_scope_of_an_alias_and_of_what_it_leads_to(tmp_path: Path) -> None:
    """Whoever keeps the reply keeps the alias, too: the longer prefix of both."""
    narrow = {"": {"ns": ["ns.test."]}, "www": {"a": servers(1, [1])}}
    narrow |= {"www.us": {"cname": "www.wide.test."}, "go": {"cname": "www.wide.test."}}
    wide = {"": {"ns": ["ns.test."]}, "www": {"a": servers(2, [1])}}
    wide["www.north-america"] = {"a": servers(3, [1])}
    zones = {"narrow.test": {"data": narrow}, "wide.test": {"data": wide}}
    call = GeoCall(tmp_path, zones, LOCATIONS)
    assert scope(call.ask("www.wide.test", ecs=ecs("9.1.2.3/32"))) == ("9.1.2.3", 32, 8)
    reply = call.ask("www.narrow.test", ecs=ecs("9.1.2.3/32"))
    assert [rrset.rdtype for rrset in reply.answer] == [5, 1]
    assert scope(reply) == ("9.1.2.3", 32, 9)
    assert scope(call.ask("go.narrow.test", ecs=ecs("9.1.2.3/32"))) == ("9.1.2.3", 32, 8)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_each_of_many_zones_answers_with_its_own(tmp_path: Path, count: int) -> None:
    """However many have choices: the names of the first few alone are in the common index."""
    zones = {
        f"zone{number}.test": {
            "data": {
                "": {"ns": ["ns.test."]},
                "www": {"a": servers(10 + number, [1])},
                "www.us": {"a": servers(20 + number, [1, 1, 1, 1, 1])},
            }
        }
        for number in range(count)
    }
    (tmp_path / "plain.test.zone").write_text(HEAD + "ns1 A 192.0.2.1\n")
    call = GeoCall(tmp_path, zones, LOCATIONS, arenas(tmp_path))
    for number in range(count):
        name = f"www.zone{number}.test"
        assert thirds(call.addresses(name, "198.51.100.1")) == {10 + number}
        assert thirds(call.addresses(name, "9.0.0.1")) == {20 + number}
        reply = call.ask(name, ecs=ecs("9.0.0.0/24"))
        assert thirds([each.address for each in reply.answer[0]]) == {20 + number}


def thirds(addresses: list[str]) -> set[int]:
    return {int(address.split(".")[2]) for address in addresses}
