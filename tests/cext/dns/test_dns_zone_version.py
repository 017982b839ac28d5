"""The version of the zone in the reply (RFC 9660), and where to report errors (RFC 9567)."""

from __future__ import annotations

from pathlib import Path

import dns.edns
import dns.message
import pytest
from dns_bytes_call import HEAD, SIZES, BytesCall

from xdpkit._core._snapshot import Snapshot
from xdpkit._core._zones import ZoneDirectory

ZONEVERSION, REPORT, SERIAL = 19, 18, 2026112201
AGENT = b"\7reports\7example\0"
PARENT = SIZES + "child NS ns1\nchild DS 1 8 2 " + "ab" * 32 + "\nto CNAME ns1.child\n"
CHILD = HEAD.replace(str(SERIAL), "7") + "ns1 A 192.0.2.5\n"


@pytest.fixture
def call(tmp_path: Path) -> BytesCall:
    return BytesCall(tmp_path / "zones", {"z.test": PARENT, "child.z.test": CHILD})


def options(
    call: BytesCall, name: str, kind: str = "A", data: bytes = b"", **more: object
) -> dict[int, bytes]:
    """The options in the reply to a question with ZONEVERSION."""
    settings = {"use_edns": 0, "payload": 1232, **more}
    asked = [dns.edns.GenericOption(ZONEVERSION, data)]
    request = dns.message.make_query(name, kind, options=asked, **settings)  # type: ignore[arg-type]
    _, reply = call.send(request.to_wire())
    assert reply is not None and len(reply) <= 1232
    return {int(o.otype): o.to_wire() or b"" for o in dns.message.from_wire(reply).options}


def version(labels: int, serial: int) -> dict[int, bytes]:
    return {ZONEVERSION: bytes((labels, 0)) + serial.to_bytes(4, "big")}


def test_of_the_zone_that_the_name_is_in(call: BytesCall) -> None:
    parent, child = version(2, SERIAL), version(3, 7)
    assert options(call, "ns1.z.test") == parent
    assert options(call, "ns1.z.test", "MX") == parent, "NODATA"
    assert options(call, "none.z.test") == parent, "NXDOMAIN"
    assert options(call, "to.z.test") == parent, "an alias into the child"
    assert options(call, "big.z.test", "TXT", payload=512) == parent, "TC"
    assert options(call, "ns1.child.z.test") == child
    assert options(call, "child.z.test", "DS") == parent
    zones = {name: arena for name, arena in call.arenas.items() if b"child" not in name}
    call.snapshot = Snapshot({"dns": 53}, zones=ZoneDirectory(zones.items()))
    assert options(call, "ns1.child.z.test") == parent, "a referral"


def test_not_where_no_zone_answers(call: BytesCall) -> None:
    assert 19 not in options(call, "elsewhere.test")
    assert 19 not in options(call, "z.test", "AXFR")
    assert options(call, "version.bind", "TXT", rdclass="CH").keys() <= {15}
    assert options(call, "ns1.z.test", data=b"\1") == {}, "RFC 9660 section 3.1: ignored"
    zones = {name: arena if b"child" not in name else None for name, arena in call.arenas.items()}
    call.snapshot = Snapshot({"dns": 53}, zones=ZoneDirectory(zones.items()))
    assert options(call, "ns1.child.z.test").keys() == {15}


def test_report_channel(call: BytesCall) -> None:
    call.set(dns={"report_agent": AGENT})
    with_both = version(2, SERIAL) | {REPORT: AGENT}
    assert options(call, "ns1.z.test") == with_both
    assert options(call, "elsewhere.test") == {REPORT: AGENT, 15: b"\0\x14"}
    request = dns.message.make_query("ns1.z.test", "A")
    _, reply = call.send(request.to_wire())
    assert reply is not None and dns.message.from_wire(reply).edns == -1
    for size in range(512, 600):
        request = dns.message.make_query("size450.z.test", "TXT", use_edns=0, payload=size)
        _, reply = call.send(request.to_wire())
        assert reply is not None and len(reply) <= size


def test_a_question_that_leaves_no_room_for_it(call: BytesCall) -> None:
    """Then it is left out: a reply without records fits 512 bytes."""
    agent = (b"\x3f" + b"r" * 63) * 3 + b"\x3d" + b"r" * 61 + b"\0"
    call.set(dns={"report_agent": agent, "nsid": b"n" * 128})
    for length in range(1, 60):
        name = ".".join(["q" * 60] * 3 + ["q" * length]) + ".elsewhere"
        asked = [dns.edns.GenericOption(3, b"")]
        request = dns.message.make_query(name, "A", use_edns=0, options=asked)
        _, reply = call.send(request.to_wire())
        assert reply is not None and len(reply) <= 512
    assert REPORT in options(call, "ns1.z.test")
