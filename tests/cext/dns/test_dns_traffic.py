"""What is counted of queries and replies with [dns] statistics, as Knot's mod-stats does."""

from __future__ import annotations

from pathlib import Path

import dns.edns
import dns.message
import pytest
from dns_bytes_call import HEAD, BytesCall

from xdpkit._core._zones import zone_slots
from xdpkit.services.dns.serving.traffic import traffic_facts

ZONE = HEAD + "ns1 A 192.0.2.1\nwww A 192.0.2.2\n"


@pytest.fixture
def call(tmp_path: Path) -> BytesCall:
    return BytesCall(tmp_path, {"a.test": ZONE, "b.test": ZONE}, statistics=1)


def query(name: str, kind: str = "A", **more: object) -> bytes:
    return dns.message.make_query(name, kind, **more).to_wire()


def test_what_is_asked_and_answered(call: BytesCall) -> None:
    asked = [
        query("www.a.test"),
        query("www.a.test", "AAAA", use_edns=0),
        query("no.b.test", "TYPE300", use_edns=0, want_dnssec=True),
        query("b.test", "CAA"),
        query("elsewhere.test", "ANY"),
    ]
    replies = []
    for number, request in enumerate(asked):
        source = "2001:db8::7" if number == 1 else "192.0.2.1"
        _, reply = call.send(request, source)
        assert reply is not None
        replies.append(reply)
    facts = traffic_facts([("udp-xdp", call.state.dns_traffic())])
    assert facts["protocols"] == {"udp4-xdp": 4, "udp6-xdp": 1}
    assert facts["types"] == {"A": 1, "AAAA": 1, "ANY": 1, "CAA": 1, "other": 1}
    assert (facts["edns"], facts["do"]) == (2, 1)
    assert facts["query_bytes"] == sum(map(len, asked))
    assert facts["reply_bytes"] == sum(map(len, replies))
    for sizes, messages in (("query_sizes", asked), ("reply_sizes", replies)):
        found = facts[sizes]
        assert sum(found.values()) == len(messages)
        for message in messages:
            first = len(message) // 16 * 16
            assert found[f"{first}-{first + 15}"] == sum(
                len(m) // 16 * 16 == first for m in messages
            )
    assert facts["zones"] == {"a.test": 2, "b.test": 2}


def test_sizes_beyond_the_last_count(call: BytesCall) -> None:
    long = query("www.a.test", use_edns=0, options=[dns.edns.GenericOption(65001, bytes(400))])
    assert call.send(long)[0] == "dns_noerror"
    facts = traffic_facts([("udp", call.state.dns_traffic())])
    assert facts["query_sizes"] == {"288-65535": 1}


def test_what_has_no_question_to_count(call: BytesCall) -> None:
    """Malformed messages and responses have their verdicts alone; a reply to one has a size."""
    assert call.send(query("www.a.test")[:-1])[0] == "dns_formerr"
    assert call.send(b"\0" * 5)[0] == "dns_short"
    facts = traffic_facts([("udp", call.state.dns_traffic())])
    assert facts["types"] == {} and facts["protocols"] == {"udp4": 0, "udp6": 0}
    assert sum(facts["reply_sizes"].values()) == 1


def test_off(call: BytesCall) -> None:
    call.set(dns={"statistics": 0})
    assert call.send(query("www.a.test"))[0] == "dns_noerror"
    facts = traffic_facts([("udp", call.state.dns_traffic())])
    assert facts["reply_bytes"] == 0 and facts["types"] == facts["zones"] == {}


def test_a_zone_keeps_its_count(call: BytesCall, tmp_path: Path) -> None:
    """Another version of it is counted with it."""
    before = zone_slots()
    again = BytesCall(tmp_path / "again", {"a.test": ZONE + "new A 192.0.2.3\n"}, statistics=1)
    assert zone_slots() == before
    again.send(query("new.a.test"))
    again.send(query("www.a.test"))
    facts = traffic_facts([("tcp", again.state.dns_traffic())])
    assert facts["zones"] == {"a.test": 2}


def test_many_zones_are_not_counted_one_by_one(tmp_path: Path) -> None:
    zones = {f"z{number}.test": ZONE for number in range(101)}
    call = BytesCall(tmp_path, zones, statistics=1)
    call.send(query("www.z7.test"))
    facts = traffic_facts([("udp", call.state.dns_traffic())])
    assert facts["zones"] == {} and facts["types"] == {"A": 1}
