"""Zones and requests about which servers disagree: the same through ring, slow path and TCP."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_asking import udp_asker
from dns_bytes_call import BytesCall
from dns_cases import ODD_ZONES, ZONES, requests
from serving import QUEUES, WAYS_IN, Server, bytes_call
from tcp_serving import connect

from xdpkit._core._answer import answer
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# What is certain of a reply: its code, and a piece of it as text.
WANTED = {
    "signed": ("NOTAUTH", ""),
    "signed, with an OPT": ("NOTAUTH", ""),
    "a signed transfer": ("NOTAUTH", ""),
    "a signature that is not last": ("FORMERR", ""),
    "two signatures": ("FORMERR", ""),
    "IXFR": ("REFUSED", ""),
    "a client subnet with a scope": ("FORMERR", ""),
    "a wildcard that leads to itself": ("NOERROR", "*.a.loop.test. 300 IN CNAME *.a.loop.test."),
    "\\228.latin1.test A": ("NOERROR", "192.0.2.2"),
    "t.latin1.test TXT": ("NOERROR", '"\\228"'),
    "t2.generate.test TXT": ("NOERROR", '"a" "2"'),
    "mb.mb.test MB": ("NOERROR", "mb.mb.test. 300 IN MB"),
    "top.ttl.test A": ("NOERROR", "top.ttl.test. 0 IN A 192.0.2.2"),
    "ns2.other.test A": ("REFUSED", ""),
    "ns1.out.test A": ("NOERROR", "192.0.2.1"),
    "x.d.wild.test A": ("NOERROR", "*.d.wild.test. 300 IN NS ns1.wild.test."),
    "x.w.wild.test DNAME": ("NOERROR", "x.w.wild.test. 300 IN DNAME t.wild.test."),
    "h.service.test HTTPS": ("NOERROR", "h.service.test. 300 IN A 192.0.2.8"),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("server")
    BytesCall(directory / "zones", ZONES | ODD_ZONES)
    return directory


def check(reply: bytes, case: str) -> None:
    if case not in WANTED:
        return
    rcode, text = WANTED[case]
    message = dns.message.from_wire(reply, keyring=False)
    assert dns.rcode.to_text(message.rcode()) == rcode
    assert text in message.to_text()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_over_udp(lab: Lab, server: Server, directory: Path, way_in: str, family: int) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    snapshot = bytes_call(directory, 0)
    source = lab.client.ipv4 if family == 4 else lab.client.ipv6
    cases = requests()
    with udp_asker(lab, family) as asker:
        replies = asker.replies(list(cases.values()))
    for (case, request), reply in zip(cases.items(), replies, strict=True):
        assert reply == answer(snapshot, "dns", request, source=(source, 40000))[1], case
        assert reply is not None
        check(reply, case)


def test_over_tcp(lab: Lab, server: Server, directory: Path) -> None:
    snapshot = bytes_call(directory, 0)
    for case, request in requests().items():
        with connect(lab) as client:
            (reply,) = client.ask(request)
        source = (lab.client.ipv4, 40000)
        assert reply == answer(snapshot, "dns", request, source=source, tcp=True)[1], case
        check(reply, case)
        truncated = dns.message.from_wire(reply, keyring=False).flags & dns.flags.TC
        assert bool(truncated) == (case == "b.big.test TXT"), case
