"""Where packets went: the sums agree with what was sent; each loss is told once, at its place."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
from payloads import ntp, query
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from serving import CONFIG, PATIENCE, XDPKIT, Server, eventually, serving
from taking_over import faulty_successor, wait_until_kept
from where_counts import (
    account,
    lost,
    lost_by_metrics,
    scraped,
    send_all,
    settled,
    stopped,
    verdicts_by_metrics,
)
from wire import Wire

from xdpkit._core._xsk import FRAMES
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

WATCHED = CONFIG.replace("[ntp]", "[ntp]\n[ntp.limit]\nburst = 4\nleak = 0\n[metrics]")
UNLIMITED = CONFIG + "[metrics]\n"

# By the row that they belong to: frames that are sent on its queue.
RING, SLOW_PATH = 2, 1


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, whose counts begin at 0."""
    with serving(lab, tmp_path, UNLIMITED) as server:
        yield server


@pytest.fixture
def wired(lab: Lab, running: Server) -> Iterator[Wire]:
    with closing(Wire(lab)) as wire:
        yield wire


def given_by(kinds: dict[str, Callable[[int], bytes]], count: int) -> list[bytes]:
    return [make(number) for number in range(count) for make in kinds.values()]


def mixed(wire: Wire) -> dict[str, Callable[[int], bytes]]:
    """Good, malformed, limited and foreign frames; each takes a number."""

    def made(*arguments: Any, **more: Any) -> Callable[[int], bytes]:
        return lambda number: bytes(wire.frame(*arguments, sport=20000 + number, **more))

    return {
        "a query": made(4, "dns", query("www.example", edns=0)),
        "one over IPv6": made(6, "dns", query("alias.example")),
        "no name of ours": made(4, "dns", query("elsewhere.test")),
        "too short for DNS": made(4, "dns", b"short"),
        "too short for NTP": made(4, "ntp", b"\x23short"),
        "limited after four": made(4, "ntp", ntp()),
        "an echo": made(4, "echo", b"echo"),
        "an echo that would loop": lambda _: bytes(wire.frame(4, "echo", b"loop", sport=53)),
        "a response": made(4, "dns", query("www.example")[:2] + b"\x80" + bytes(9)),
        "a port of nobody": made(4, "dns", b"x", udp={"dport": 9999}),
        "IP options": made(4, "dns", query("www.example"), ip={"options": b"\x94\x04\x00\x00"}),
    }


def test_the_sums_agree_with_what_was_sent(lab: Lab, tmp_path: Path) -> None:
    """On ring, slow path and TCP together; and with the metrics."""
    with serving(lab, tmp_path, WATCHED) as server, closing(Wire(lab)) as wire:
        kinds, count = mixed(wire), 40
        for queue in (RING, SLOW_PATH):
            wire.use_queue(queue)
            send_all(wire, given_by(kinds, count))
        with lab.client.entered():
            asked = [dns.message.make_query("www.example", "A") for _ in range(7)]
            for each in asked:
                assert dns.query.tcp(each, lab.server.ipv4, timeout=PATIENCE).rcode() == 0
        sent = count * len(kinds)
        passed = count * 3
        eventually(lambda: settled(server, "queue 2", sent), "what was sent on the ring")
        # What was passed there to our ports comes too; what is for nobody's port comes nowhere.
        on_slow_path = sent - count + 2 * count
        eventually(lambda: settled(server, "slow path UDP", on_slow_path), "the slow path")
        document, samples = server.status(), scraped(lab)
        rows = account(document)
    limited = {"ring": count - 4, "slow path": count - 4}
    # www, alias, elsewhere and echo are answered, and the first NTP requests of a source.
    ring = Counter(received=sent, answered=4 * count + 4, passed=passed)
    ring.update(dropped=3 * count + limited["ring"])
    assert +rows["queue 2"] == ring
    assert +rows["queue 1"] == Counter(received=sent, passed=sent)
    slow = Counter(received=on_slow_path, answered=6 * count + 4)
    slow.update(dropped=on_slow_path - 6 * count - 4)
    assert +rows["slow path UDP"] == slow
    assert +rows["slow path TCP"] == Counter(received=7, answered=7)
    assert lost(document) == {} and lost_by_metrics(samples) == {}
    for what, path, queue in (
        ("queue 2", "ring", "2"),
        ("slow path UDP", "slow_path_udp", ""),
        ("slow path TCP", "slow_path_tcp", ""),
    ):
        for part, kind in (("answered", "answer"), ("dropped", "drop")):
            assert verdicts_by_metrics(samples, path, kind, queue) == rows[what][part], what


def test_the_fill_ring_of_a_stopped_worker(lab: Lab, running: Server, wired: Wire) -> None:
    """Every frame of the UMEM waits on the RX ring, and is answered at last; the rest is lost."""
    more = 300
    frames = [bytes(wired.frame(4, "ntp", ntp(), sport=20000 + n)) for n in range(FRAMES + more)]
    with stopped(running):
        send_all(wired, frames)
    eventually(lambda: settled(running, "queue 2", len(frames)), "all of them")
    document, samples = running.status(), scraped(lab)
    row = account(document)["queue 2"]
    assert +row == Counter(received=len(frames), answered=FRAMES, lost=more)
    assert lost(document) == {("fill_ring", "queue 2"): more}
    assert lost_by_metrics(samples) == {("ring", "2", "fill_ring"): more}
    shown = lab.server.run(XDPKIT, "status", "--where").stdout
    [line] = [line for line in shown.splitlines() if line.startswith("> fill ring")]
    assert f"{more} " in line and "queue 2" in line and "more [interface] queues" in line
    table = lab.server.run(XDPKIT, "status").stdout
    assert f"lost: fill_ring {more}" in table


def test_the_socket_of_a_stopped_slow_path(lab: Lab, running: Server, wired: Wire) -> None:
    """By the address whose socket it is, and nowhere else."""
    wired.use_queue(SLOW_PATH)
    count = 16000
    frame = bytes(wired.frame(4, "dns", query("www.example")))
    with stopped(running):
        send_all(wired, [frame] * count)
        wired.send(wired.frame(4, "ntp", ntp()))
    eventually(lambda: settled(running, "slow path UDP", count + 1), "all of them")
    document, samples = running.status(), scraped(lab)
    udp = document["slow_path"]["udp"]
    assert 0 < udp["lost"] == count - udp["answered"]["dns_noerror"]
    assert udp["answered"]["ntp_answered"] == 1 and udp["dropped"] == {}
    assert lost(document) == {("udp_socket", "UDP 192.0.2.1:53"): udp["lost"]}
    assert lost_by_metrics(samples) == {("slow_path_udp", "", "udp_socket"): udp["lost"]}
    # All of these were passed, and none is counted a second time there.
    assert account(document)["queue 1"]["lost"] == 0


def test_the_tx_ring_of_a_link_without_carrier(lab: Lab, running: Server, wired: Wire) -> None:
    """What was answered and could not be sent is lost; then it goes on."""
    count = 20
    with stopped(running):
        send_all(wired, [bytes(wired.frame(4, "ntp", ntp()))] * count)
        assert lab.client.run("ip", "link", "set", "client0", "down").returncode == 0
    try:
        eventually(lambda: running.status()["queues"]["2"]["lost"]["tx_ring"] == count, "losses")
        document, samples = running.status(), scraped(lab)
        assert +account(document)["queue 2"] == Counter(received=count, lost=count)
        assert lost(document) == {("tx_ring", "queue 2"): count}
        assert lost_by_metrics(samples) == {("ring", "2", "tx_ring"): count}
    finally:
        lab.client.run("ip", "link", "set", "client0", "up")
        lab.client.run("ip", "address", "add", f"{lab.client.ipv6}/64", "dev", "client0", "nodad")
    # The other socket remembers that the network was down.
    with closing(Wire(lab)) as again:
        again.send(again.frame(4, "ntp", ntp()))
        eventually(lambda: account(running.status())["queue 2"]["answered"] == 1, "an answer")


def test_tcp_connections_that_a_stopped_listener_cannot_take(lab: Lab, tmp_path: Path) -> None:
    """The queue of connections is full: each SYN more is lost, at the address that it was for."""
    more = 9
    before = somaxconn(lab, "3")
    try:
        with (
            serving(lab, tmp_path, UNLIMITED) as server,
            closing(Wire(lab)) as wire,
            lab.client.entered(),
        ):
            with stopped(server):
                # One more than the limit fits.
                waiting = [socket.create_connection((lab.server.ipv4, 53)) for _ in range(4)]
                for number in range(more):
                    wire.send(syn(wire, lab, 30000 + number))
            eventually(lambda: server.status()["slow_path"]["tcp"]["lost"] == more, "the SYNs")
            eventually(lambda: server.status()["slow_path"]["tcp"]["accepted"] == 4, "the others")
            document, samples = server.status(), scraped(lab)
            assert lost(document) == {("tcp_listen", "TCP 192.0.2.1:53"): more}
            assert lost_by_metrics(samples) == {("slow_path_tcp", "", "tcp_listen"): more}
            for each in waiting:
                each.close()
    finally:
        somaxconn(lab, before)


def somaxconn(lab: Lab, value: str) -> str:
    """Sets the server's limit of connections to be accepted; returns what it was."""
    name = "net.core.somaxconn"
    before = lab.server.run("sysctl", "-n", name).stdout.strip()
    assert lab.server.run("sysctl", "-w", f"{name}={value}").returncode == 0
    return before


def syn(wire: Wire, lab: Lab, port: int) -> bytes:
    ether = Ether(dst=wire.server_mac, src=wire.client_mac)
    ip = IP(src=lab.client.ipv4, dst=lab.server.ipv4)
    return bytes(ether / ip / TCP(sport=port, dport=53, flags="S", seq=1))


def test_what_is_asked_by_every_way_in(lab: Lab, running: Server, wired: Wire) -> None:
    """Protocols, types and zones of DNS, in status and metrics."""
    for queue, family in ((RING, 4), (RING, 6), (SLOW_PATH, 4)):
        wired.use_queue(queue)
        for kind in ("A", "AAAA", "TYPE999"):
            wired.send(wired.frame(family, "dns", query("www.example", kind, edns=0)))
    with lab.client.entered():
        asked = dns.message.make_query("elsewhere.test", "MX")
        assert dns.query.tcp(asked, lab.server.ipv6, timeout=PATIENCE).rcode() == 5

    def traffic() -> dict[str, Any]:
        found: dict[str, Any] = running.status()["dns"]["traffic"]
        return found

    eventually(lambda: sum(traffic()["protocols"].values()) == 10, "all queries")
    found, samples = traffic(), scraped(lab)
    asked_by = {"udp4-xdp": 3, "udp6-xdp": 3, "udp4": 3, "udp6": 0, "tcp4": 0, "tcp6": 1}
    assert found["protocols"] == asked_by
    assert found["types"] == {"A": 3, "AAAA": 3, "MX": 1, "other": 3}
    assert found["zones"] == {"example": 9} and found["edns"] == 9 and found["do"] == 0
    for protocol, count in asked_by.items():
        assert samples.of("dns_queries_by_protocol_total", protocol=protocol) == count
    assert samples.of("dns_queries_by_zone_total", zone="example") == 9
    assert samples.of("dns_query_size_bytes_count") == 10
    shown = lab.server.run(XDPKIT, "status").stdout
    assert "DNS queries: protocols udp4-xdp 3, udp6-xdp 3, udp4 3, tcp6 1; types" in shown


def test_a_takeover_that_fails_loses_no_count(lab: Lab, running: Server, wired: Wire) -> None:
    """The worker is started again, and goes on counting; what waited meanwhile is answered."""
    send_all(wired, [bytes(wired.frame(4, "ntp", ntp()))] * 30)
    eventually(lambda: settled(running, "queue 2", 30), "the first")
    with faulty_successor(running, "rings", "SIGKILL"):
        wait_until_kept(running, 1)
    send_all(wired, [bytes(wired.frame(4, "ntp", ntp()))] * 12)
    eventually(lambda: account(running.status())["queue 2"]["answered"] == 42, "the others")
    assert +account(running.status())["queue 2"] == Counter(received=42, answered=42)


def test_a_successor_begins_with_losses_of_its_own(lab: Lab, running: Server, wired: Wire) -> None:
    """The sockets keep their counters: what the predecessor lost is not told again."""
    frames = [bytes(wired.frame(4, "ntp", ntp(), sport=20000 + n)) for n in range(FRAMES + 50)]
    with stopped(running):
        send_all(wired, frames)
    eventually(lambda: lost(running.status()) == {("fill_ring", "queue 2"): 50}, "the losses")
    successor = Server(lab.server, running.path, more=("--takeover",))
    try:
        assert running.process.wait(PATIENCE) == 0
        send_all(wired, frames[:20])
        eventually(lambda: account(successor.status())["queue 2"]["answered"] == 20, "answers")
        assert lost(successor.status()) == {} == lost_by_metrics(scraped(lab))
        assert +account(successor.status())["queue 2"] == Counter(received=20, answered=20)
        assert successor.stop() == 0
    finally:
        successor.kill()


def test_the_rates_since_the_last_look(lab: Lab, running: Server, wired: Wire) -> None:
    """Each look has the rates since the one before; --watch those between its own."""
    assert lab.server.run(XDPKIT, "status", "--where").returncode == 0
    time.sleep(1.1)
    frames = [bytes(wired.frame(4, "ntp", ntp()))] * 50
    send_all(wired, frames)
    eventually(
        lambda: (
            scraped(lab).of(
                "verdicts_total", path="ring", queue="2", verdict="ntp_answered", kind="answer"
            )
            == 50
        ),
        "answers",
    )
    where = running.status()["where"]
    [row] = [row for row in where["sums"] if row["what"] == "queue 2"]
    # Rounded to a tenth of a packet a second.
    assert abs(row["per_second"]["answered"] * where["seconds"] - 50) < 0.1 * where["seconds"] + 1
    watching = lab.server.popen(
        *(XDPKIT, "status", "--watch", "0.2", "--json"), stdout=-1, stderr=-1
    )
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert "per_second" not in first
    assert "per_second" in watching.stdout.readline()
    os.kill(watching.pid, signal.SIGINT)
    assert watching.wait(PATIENCE) == 130
    watching.communicate()
