"""One answer function, three ways in: ring, slow path and bytes call give the same UDP payloads."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from payloads import ANSWERED, dns_corpus, echo_corpus, ntp, ntp_corpus
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from serving import Server, bytes_call, eventually
from wire import MARKER_PORT, Wire, only_ours

from xdpkit._core._answer import answer

pytestmark = pytest.mark.netns

CORPORA: dict[str, Callable[[random.Random], list[bytes]]] = {
    "ntp": ntp_corpus,
    "dns": dns_corpus,
    "echo": echo_corpus,
}
FIRST_PORT, BATCH = 20000, 100
MARKERS = {verdict.partition("_")[0]: payload for verdict, (_, payload) in ANSWERED.items()}
MARKERS["ntp"] = ntp()

# Reference, receive and transmit timestamp, and the monotonic receive time of a 0xF323 field.
TIMES = (slice(16, 24), slice(32, 40), slice(40, 48), slice(64, 72))

# Part of such a field: chosen at random by every instance, so the bytes call here has another.
EPOCH = slice(72, 76)


def timeless(service: str, payload: bytes | None, *more: slice) -> bytes | None:
    """The payload without the times, which differ between ways in."""
    if service != "ntp" or payload is None:
        return payload
    masked = bytearray(payload)
    for part in (*TIMES, *more):
        masked[part] = bytes(len(masked[part]))
    return bytes(masked)


def by_network(wire: Wire, family: int, service: str, corpus: list[bytes]) -> list[bytes | None]:
    """The answers to a corpus, in its order; None for silence."""
    replies: dict[int, list[bytes]] = {}
    for start in range(0, len(corpus), BATCH):
        for number, payload in enumerate(corpus[start : start + BATCH], start):
            wire.send(wire.frame(family, service, payload, sport=FIRST_PORT + number))
        # Queue and socket preserve order: when this is answered, everything before it has been.
        wire.send(wire.frame(family, service, MARKERS[service], sport=MARKER_PORT))
        frames = wire.client.until(lambda data: destination(data) == MARKER_PORT)
        for data in only_ours(frames):
            replies.setdefault(destination(data), []).append(bytes(Ether(data)[UDP].payload))
    assert all(len(payloads) == 1 for payloads in replies.values()), "answered twice"
    return [replies.get(FIRST_PORT + number, [None])[0] for number in range(len(corpus))]


def destination(data: bytes) -> int:
    """The UDP port that a frame goes to, 0 without one."""
    packet = Ether(data)
    return packet[UDP].dport if UDP in packet else 0


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("service", CORPORA)
def test_all_ways_in_give_the_same(
    server: Server, wire: Wire, directory: Path, service: str, family: int
) -> None:
    corpus = CORPORA[service](random.Random(20261122))
    wire.use_queue(1)
    before = server.status()
    slow_path = by_network(wire, family, service, corpus)
    sent = len(corpus) + -(-len(corpus) // BATCH)
    rx = before["slow_path"]["udp"]["rx"] + sent
    eventually(
        lambda: server.status()["slow_path"]["udp"]["rx"] >= rx, "the UDP listener's counters"
    )
    middle = server.status()
    wire.use_queue(2)
    ring = by_network(wire, family, service, corpus)
    after = server.status()
    # Each corpus went where it should: nothing of the first through the ring, and vice versa.
    assert middle["queues"]["2"]["rx"] == before["queues"]["2"]["rx"]
    assert after["slow_path"]["udp"]["rx"] == middle["slow_path"]["udp"]["rx"] == rx
    assert after["queues"]["2"]["rx"] == middle["queues"]["2"]["rx"] + sent

    precision = 0
    if service == "ntp":
        byte = next(reply for reply in ring if reply is not None)[3]
        precision = byte - 256
    snapshot = bytes_call(directory, precision)
    client = wire.lab.client.ipv4 if family == 4 else wire.lab.client.ipv6
    silent = 0
    for number, request in enumerate(corpus):
        source = (client, FIRST_PORT + number)
        _, offline = answer(snapshot, service, request, source=source)
        expected = timeless(service, offline, EPOCH)
        assert timeless(service, ring[number], EPOCH) == expected, request.hex()
        assert timeless(service, slow_path[number]) == timeless(service, ring[number]), (
            request.hex()
        )
        silent += expected is None
    if service != "echo":
        assert 0 < silent < len(corpus)
