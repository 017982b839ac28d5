"""DNS besides zones, through the ring and the slow path: cookies, NSID, CHAOS, RFC 8906."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message
import pytest
from dns_compliance import cases, check
from payloads import nothing, option, query
from serving import QUEUES, Server, eventually
from tcp_serving import connect

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

WAYS_IN = {"ring": 2, "slow path": 1}
Ask = Callable[[bytes], bytes]


@contextmanager
def by_udp(lab: Lab, family: int) -> Iterator[Ask]:
    """One socket that queries the server and waits for each reply."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    with lab.client.entered():
        sock = socket.socket(kind, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(20)
        sock.connect((address, 53))

        def ask(request: bytes) -> bytes:
            sock.send(request)
            return sock.recv(65536)

        yield ask


@pytest.fixture(params=WAYS_IN)
def way_in(request: pytest.FixtureRequest, lab: Lab, server: Server) -> str:
    """Everything the client sends takes this way in."""
    lab.client.send_on_queue(WAYS_IN[request.param], QUEUES)
    return request.param


def counted(server: Server) -> dict[str, int]:
    """Cookies by kind, over all ways in."""
    counts: dict[str, int] = server.status()["dns"]["cookies"]
    return counts


def cookie_of(reply: bytes) -> bytes:
    [found] = [each.to_wire() for each in dns.message.from_wire(reply).options if each.otype == 10]
    return found


def number_of(server: Server, path: tuple[str, str]) -> int:
    """Answers counted by one part of the status document."""
    kind, name = path
    answered: int = server.status()[kind][name]["tx"]
    return answered


@pytest.mark.parametrize("family", [4, 6])
def test_rfc_8906(lab: Lab, server: Server, way_in: str, family: int) -> None:
    served = ("queues", "2") if way_in == "ring" else ("slow_path", "udp")
    before = number_of(server, served)
    with by_udp(lab, family) as ask:
        every = cases("example")
        for case in every.values():
            check(case, ask(case.request))
    assert number_of(server, served) - before == len(every)


@pytest.mark.parametrize("family", [4, 6])
def test_rfc_8906_over_tcp(lab: Lab, server: Server, family: int) -> None:
    every = cases("example")
    with connect(lab, family) as client:
        for case in every.values():
            check(case, client.ask(case.request)[0], tcp=True)


@pytest.mark.parametrize("family", [4, 6])
def test_a_cookie_from_one_way_in_is_valid_at_the_other(
    lab: Lab, server: Server, family: int
) -> None:
    before = counted(server)
    with by_udp(lab, family) as ask:
        for made_on, sent_on in ((1, 2), (2, 1)):
            lab.client.send_on_queue(made_on, QUEUES)
            made = cookie_of(ask(nothing(b"8 bytes!")))
            lab.client.send_on_queue(sent_on, QUEUES)
            reply = ask(query("www.example", edns=0, options=[option(10, made)]))
            assert cookie_of(reply) == made
            # From another client's cookie it is invalid.
            stolen = bytearray(made)
            stolen[0] ^= 1
            refused = ask(nothing(bytes(stolen)))
            assert struct.unpack_from("!H", refused, 2)[0] & 15 == 23 & 15
            ask(query("www.example", edns=0, options=[option(10, made[:15])]))
    eventually(
        lambda: (
            {kind: n - before[kind] for kind, n in counted(server).items()}
            == dict.fromkeys(before, 2)
        ),
        "two cookies of each kind",
    )


def run(lab: Lab, *argv: str) -> str:
    done = lab.client.run(*argv)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dig(lab: Lab, address: str, *words: str) -> str:
    return run(lab, "dig", "+tries=1", "+time=10", "+norec", f"@{address}", *words)


@pytest.mark.parametrize("family", [4, 6])
def test_dig_and_kdig(lab: Lab, server: Server, way_in: str, family: int) -> None:
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    assert '; NSID: 6c 61 62 ("lab")' in dig(lab, address, "+nsid", "www.example")
    for name in ("version.bind", "version.server"):
        assert '"xdpkit in the lab"' in dig(lab, address, "CH", "TXT", name)
    assert "status: REFUSED" in dig(lab, address, "CH", "TXT", "hostname.bind")
    assert "; EDE: 20 (Not Authoritative)" in dig(lab, address, "www.elsewhere")
    assert "status: NOERROR" in dig(lab, address, "+subnet=0", "www.example")
    assert "status: NOERROR" in dig(lab, address, "+subnet=192.0.2.0/24", "www.example")
    kdig = run(lab, "kdig", "+retry=0", "+time=10", "+nsid", f"@{address}", "www.example")
    assert "lab" in kdig


def test_dig_finds_our_cookies_good(lab: Lab, server: Server, way_in: str) -> None:
    before = counted(server)
    # "Good" means that the reply has dig's own client cookie, followed by a server cookie.
    said = dig(lab, lab.server.ipv4, "+cookie", "www.example", "+cookie", "ns.example")
    assert said.count("(good)") == 2
    after = counted(server)
    assert after["client"] > before["client"] and after["bad"] == before["bad"]
    [line] = [line for line in said.splitlines() if line.startswith("; COOKIE: ")][:1]
    cookie = line.split()[2]
    assert len(cookie) == 48
    again = dig(lab, lab.server.ipv4, f"+cookie={cookie}", "www.example")
    assert f"; COOKIE: {cookie} (good)" in again
    assert counted(server)["valid"] > before["valid"]
    assert counted(server)["bad"] == before["bad"]
