"""Replies of exact sizes, by every way in, for every size a client may advertise: TC or whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest
from dns_asking import tcp_replies, udp_asker
from serving import CONFIG as USUAL
from serving import DNS, QUEUES, WAYS_IN, ZONE, Server, serving
from tcp_serving import connect

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

MOST = {4: 1232, 6: 1220}
"""The largest UDP reply of a server that is configured for both, with an MTU of 1500."""

# Sizes that clients advertise; None: no EDNS. RFC 6891 section 6.2.5, RFC 9715, DNS flag day 2020.
ADVERTISED = [None, 0, 511, 512, 513, 1219, 1220, 1221, 1231, 1232, 1233, 1452, 4096, 65535]

OPT = 11
SIZES = sorted(
    {
        limit + more + opt
        for limit in (512, 1220, 1232, 1452, 4096)
        for more in (-1, 0, 1)
        # Without an OPT record the reply to the same question is shorter.
        for opt in (0, OPT)
    }
)


def text_of(size: int) -> str:
    """The TXT record whose reply, with an OPT record, has this size."""
    room = size - 12 - len(b"\5s0000\7example\0") - 4 - 12 - OPT
    whole, rest = divmod(room, 256)
    parts = [255] * whole + [rest - 1] * bool(rest)
    return f"s{size:04} TXT " + " ".join(f'"{"x" * part}"' for part in parts) + "\n"


@pytest.fixture(scope="module")
def server(lab: Lab, directory: Path) -> Iterator[Server]:
    limits = "".join(f"max_udp_ipv{family} = {most}\n" for family, most in MOST.items())
    config = USUAL.replace(DNS, DNS + limits)
    with serving(lab, directory, config, ZONE + "".join(map(text_of, SIZES))) as server:
        yield server


def queries(payload: int | None) -> list[bytes]:
    """For each size, the query whose reply has it, with an OPT record."""
    edns = {"use_edns": -1} if payload is None else {"use_edns": 0, "payload": payload}
    names = (f"s{size:04}.example" for size in SIZES)
    return [dns.message.make_query(name, "TXT", **edns).to_wire() for name in names]


@pytest.mark.parametrize("family", [4, 6])
def test_tc_where_it_belongs(lab: Lab, server: Server, way_in: str, family: int) -> None:
    with udp_asker(lab, family) as asker:
        for payload in ADVERTISED:
            limit = 512 if payload is None else max(512, min(payload, MOST[family]))
            for size, reply in zip(SIZES, asker.replies(queries(payload)), strict=True):
                assert reply is not None
                if payload is None:
                    size -= OPT
                said = dns.message.from_wire(reply)
                if size <= limit:
                    assert len(reply) == size and not said.flags & dns.flags.TC and said.answer
                else:
                    assert said.flags & dns.flags.TC and not said.answer
                    # The question, and an OPT record if the query had one.
                    assert len(reply) == 12 + 15 + 4 + OPT * (payload is not None)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("queue", WAYS_IN.values())
def test_all_are_whole_over_tcp(lab: Lab, server: Server, family: int, queue: int) -> None:
    lab.client.send_on_queue(queue, QUEUES)
    for payload in ADVERTISED:
        with connect(lab, family) as client:
            replies = tcp_replies(client, queries(payload))
        less = OPT * (payload is None)
        assert [len(reply) for reply in replies] == [size - less for size in SIZES]
        assert not any(reply[2] & 2 for reply in replies)
