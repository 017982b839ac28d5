"""``xdpkit dump``: both directions of every way in, as Wireshark reads them, to the packet."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from dumping import Dump, blast, tshark
from payloads import ntp, query
from pcapng_file import packets
from serving import WWW, XDPKIT, Server, eventually, look_up
from tcp_serving import connect
from wire import Wire

from xdpkit._core._stats import VERDICTS
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# Wireshark's own opinion of checksums: it does not look by default.
CHECKED = tuple(
    part for name in ("ip", "udp", "tcp") for part in ("-o", f"{name}.check_checksum:TRUE")
)
GOOD = {"", "1"}
HANDLED = {verdict.name for verdict in VERDICTS if verdict.kind in ("answer", "drop")}


def handled(server: Server) -> int:
    """Answered and dropped, on all ways in."""
    return sum(count for name, count in server.verdicts().items() if name in HANDLED)


@pytest.fixture
def dump_file(tmp_path: Path) -> Path:
    return tmp_path / "q.pcapng"


def test_each_query_on_the_ring_with_its_reply(
    lab: Lab, server: Server, wire: Wire, dump_file: Path
) -> None:
    with Dump(server, dump_file, "service dns"):
        assert look_up(lab.client) == [WWW]
        assert look_up(lab.client, "nothing.example") == []
    fields = ("dns.qry.name", "dns.response_to", "frame.interface_name", "dns.flags.rcode")
    first, second, third, fourth = tshark(
        dump_file, *fields, "udp.checksum.status", "frame.comment", options=CHECKED
    )
    way = "server0 queue 2"
    about = "queue 2, thread xdpkit-q2"
    assert first[:4] == ["www.example", "", way, ""]
    assert second[:4] == ["www.example", "1", way, "0"]
    assert third[:4] == ["nothing.example", "", way, ""]
    assert fourth[:4] == ["nothing.example", "3", way, "3"]
    assert second[4] == fourth[4] == "1"
    assert first[5] == f"dns_answer, {about}" or first[5].endswith(about)
    assert fourth[5].startswith(f"dns_nxdomain, {about}, ")


@pytest.mark.parametrize("tcp", [False, True])
def test_the_slow_path_with_headers_made(
    lab: Lab, server: Server, other_queue: int, dump_file: Path, tcp: bool
) -> None:
    with Dump(server, dump_file, "service dns"):
        if tcp:
            with connect(lab, 6) as client:
                queries = [
                    query("www.example"),
                    query("large.example", "TXT"),
                    query("nothing.example"),
                ]
                ends = client.socket.getsockname()[1]
                assert len(client.ask(*queries)) == 3
        else:
            ends = None
            assert look_up(lab.client) == [WWW]
    way = "tcp" if tcp else "udp"
    address = "ipv6.dst" if tcp else "ip.dst"
    found = tshark(
        dump_file,
        *("dns.qry.name", "dns.response_to", "frame.interface_name", address),
        *("ip.checksum.status", f"{way}.checksum.status", f"{way}.srcport", "_ws.malformed"),
        options=CHECKED,
    )
    queries_found = [row for row in found if row[0] and not row[1]]
    replies_found = [row for row in found if row[1]]
    assert len(queries_found) == len(replies_found) == (3 if tcp else 1)
    server_address = lab.server.ipv6 if tcp else lab.server.ipv4
    for row in found:
        assert row[2] == f"server0 {way.upper()}"
        assert {row[4], row[5]} <= GOOD and not row[7]
    for row in queries_found:
        assert row[3] == server_address
        assert ends is None or int(row[6]) == ends
    assert {row[6] for row in replies_found} == {"53"}


def test_the_stamps_lie_between_the_clients(
    lab: Lab, server: Server, wire: Wire, dump_file: Path
) -> None:
    with Dump(server, dump_file, "service echo"):
        request = wire.frame(4, "echo", b"when?")
        before = time.time_ns()
        wire.send(request)
        wire.client.until(lambda data: data.endswith(b"when?"))
        after = time.time_ns()
    inbound, outbound = packets(dump_file)
    assert inbound.inbound and not outbound.inbound
    assert before <= inbound.ns <= outbound.ns <= after
    assert inbound.data == bytes(request)
    assert outbound.data == wire.reply(request, b"when?")


def test_what_was_dropped_and_why(server: Server, wire: Wire, dump_file: Path) -> None:
    wrong = wire.frame(4, "ntp", ntp(), udp={"chksum": 1})
    with Dump(server, dump_file, "not answered") as dump:
        for frame in (wire.frame(4, "dns", b"short"), wrong, wire.frame(6, "ntp", b"")):
            wire.exchange(server, frame)
    found = dump.packets()
    assert [packet.comment.split(",")[0] for packet in found] == [
        *("dropped: dns_short", "dropped: udp_checksum", "dropped: ntp_length"),
    ]
    assert found[1].data == bytes(wrong)
    assert all(packet.inbound for packet in found)


@pytest.mark.parametrize(
    "wanted, found",
    [
        ("service ntp", ["ntp"]),
        ("client 192.0.2.0/24", ["www", "nothing", "ntp", "short"]),
        ("client 2001:db8::/32", ["aaaa"]),
        ("name WWW.example", ["www", "aaaa"]),
        ("name *.example and not name www.example", ["nothing"]),
        ("type AAAA", ["aaaa"]),
        ("rcode NXDOMAIN", ["nothing"]),
        ("verdict dns_short", ["short"]),
        ("queue 2 and not answered or service ntp", ["ntp", "short"]),
        ("udp or tcp", []),
    ],
)
def test_filters(
    server: Server, wire: Wire, dump_file: Path, wanted: str, found: list[str]
) -> None:
    sent = {
        "www": wire.frame(4, "dns", query("www.example")),
        "nothing": wire.frame(4, "dns", query("nothing.example")),
        "aaaa": wire.frame(6, "dns", query("www.example", "AAAA")),
        "ntp": wire.frame(4, "ntp", ntp()),
        "short": wire.frame(4, "dns", b"short"),
    }
    with Dump(server, dump_file, f"({wanted}) and not service echo") as dump:
        for frame in sent.values():
            wire.exchange(server, frame)
    requests = [packet.data for packet in dump.packets() if packet.inbound]
    assert requests == [bytes(sent[name]) for name in found]
    # Each has a marker of its own behind it.
    assert dump.facts["seen"] == 2 * len(sent)
    assert dump.facts["matched"] == dump.facts["captured"] == len(found)


def test_all_of_a_load_is_captured(lab: Lab, server: Server, dump_file: Path) -> None:
    before = handled(server)
    with Dump(server, dump_file, "--buffer", "64") as dump:
        blast(lab, "--count", "20000", "--rate", "10000")
    assert dump.facts["lost"] == 0
    assert dump.facts["captured"] == dump.facts["seen"] == handled(server) - before >= 20000
    found = dump.packets()
    assert len(found) == 2 * dump.facts["captured"]
    assert sum(packet.inbound for packet in found) == dump.facts["captured"]


def test_a_stopped_reader_loses_packets_and_the_service_none(
    lab: Lab, server: Server, dump_file: Path
) -> None:
    before = handled(server)
    with Dump(server, dump_file, "--buffer", "1") as dump:
        dump.process.send_signal(signal.SIGSTOP)
        blast(lab, "--count", "50000", "--rate", "20000")
        answered = handled(server) - before
        dump.process.send_signal(signal.SIGCONT)
    assert answered >= 50000
    assert dump.facts["lost"] > 0
    assert dump.facts["captured"] + dump.facts["lost"] == dump.facts["seen"] == answered
    assert len(dump.packets()) == 2 * dump.facts["captured"]


def test_one_in_ten_and_a_count(lab: Lab, server: Server, tmp_path: Path) -> None:
    with (
        Dump(server, tmp_path / "ten", "--sample", "10") as sampled,
        Dump(server, tmp_path / "count", "-n", "7") as counted,
    ):
        blast(lab, "--count", "1000", "--rate", "5000")
        assert counted.finished()["captured"] == 7
    assert sampled.facts["matched"] == sampled.facts["seen"]
    assert sampled.facts["captured"] == sampled.facts["matched"] // 10
    assert len(counted.packets()) == 14


def test_two_get_what_each_asks_and_a_fifth_is_refused(
    lab: Lab, server: Server, wire: Wire, tmp_path: Path
) -> None:
    dumps = [
        Dump(server, tmp_path / f"{number}", wanted)
        for number, wanted in enumerate(("service dns", "service ntp", "tcp", "udp"))
    ]
    try:
        done = lab.server.run(XDPKIT, "dump", "-w", str(tmp_path / "fifth"))
        assert done.returncode == 1
        assert done.stderr == "xdpkit: server0: 4 captures are running: end one of them\n"
        wire.exchange(server, wire.frame(4, "dns", query("www.example")))
        wire.exchange(server, wire.frame(4, "ntp", ntp()))
        assert [dump.end()["captured"] for dump in dumps] == [1, 1, 0, 0]
    finally:
        for dump in dumps:
            dump.process.kill()
            dump.process.communicate()


def test_a_reader_that_dies_is_noticed_and_its_memory_is_free(
    server: Server, dump_file: Path
) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps")
    with Dump(server, dump_file) as dump:
        assert "xdpkit-capture" in maps.read_text()
        dump.process.kill()
        eventually(lambda: server.status()["captures"]["running"] == [], "the end of a capture")
        eventually(lambda: "xdpkit-capture" not in maps.read_text(), "free memory")
